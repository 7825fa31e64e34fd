//! Addresses for a cluster whose processes are all on this machine.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Loopback addresses for the processes of a cluster on this machine, which nobody listens at and nobody else is given.
///
/// The system gives none of these ports to a program that asks for any port, for a minute or so: they are in the state
/// `TIME_WAIT`, after a connection that this function made and closed. Who asks for one of them by its number, as
/// [`Pipeline::cluster`](crate::Pipeline::cluster) does, gets it at once.
///
/// # Errors
///
/// If the system has no port that is free.
///
/// ```
/// use telemetra_core::{SerdeJson, source::Memory};
/// # #[derive(serde::Deserialize)]
/// # struct Reading { sensor: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.sensor }
/// # }
/// use telemetra_ops::{Pipeline, free_addresses};
///
/// let addresses = free_addresses(2)?;
/// let processes = [0, 1].map(|process| {
///     let addresses = addresses.clone();
///     std::thread::spawn(move || {
///         let source = Memory::default().partition("readings", [""; 0]);
///         let readings = Pipeline::<Reading>::new().source(source, SerdeJson::new());
///         readings.cluster(process, addresses).start()?.wait()
///     })
/// });
/// for process in processes {
///     process.join().expect("a process does not panic")?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn free_addresses(count: usize) -> io::Result<Vec<String>> {
    // All are held until all are known, so that none comes twice.
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    held.iter().map(reserved).collect()
}

/// The address of a listener, whose port nobody is given when it is dropped.
fn reserved(listener: &TcpListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    let mut client = TcpStream::connect(address)?;
    // The side that closes first is the one that waits.
    drop(listener.accept()?);
    client.read_to_end(&mut Vec::new())?;
    Ok(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_is_given_to_nobody_who_does_not_ask_for_it() -> io::Result<()> {
        let addresses: BTreeSet<_> = free_addresses(300)?.into_iter().collect();
        assert_eq!(addresses.len(), 300);
        // Of 28,000 ports the system would give some of the 300 to 2,000 others.
        for _ in 0..10 {
            let others: Vec<_> =
                (0..200).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
            for other in &others {
                assert!(!addresses.contains(&other.local_addr()?.to_string()));
            }
        }
        // And who asks has it.
        addresses.iter().map(TcpListener::bind).collect::<io::Result<Vec<_>>>().map(drop)
    }
}
