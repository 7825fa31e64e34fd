//! Free addresses for a cluster whose processes all run on one machine.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Returns `count` addresses on `127.0.0.1` with free ports, for the processes of a
/// [cluster](crate::Pipeline::cluster) that all run on this machine. For tests and demos.
///
/// Each port is in the state `TIME_WAIT`, after a connection that this function made and closed. So for about
/// a minute the system gives it to no program that asks for any free port. A program that asks for this port
/// by number, as [`Pipeline::cluster`](crate::Pipeline::cluster) does, gets it at once.
///
/// # Errors
///
/// If the system has no free port.
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
    // All listeners stay open until all ports are known, so that no port comes twice.
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    held.iter().map(reserved).collect()
}

/// Returns the address of a listener, whose port stays reserved after it is dropped.
fn reserved(listener: &TcpListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    let mut client = TcpStream::connect(address)?;
    // The side that closes first enters `TIME_WAIT`.
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
