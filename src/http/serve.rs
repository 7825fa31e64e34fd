//! An HTTP server for a router, with limits on the number of connections and on their silence.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::Limits;
use super::settings::stopped;

/// Serves a router over HTTP until `stopping` becomes true: [`axum::serve()`] with limits on connections, by
/// [`Limits::connections`] and [`Limits::idle_timeout`]. The other limits are applied by
/// [`Settings::layered`](super::Settings::layered), not here.
///
/// When `stopping` becomes true, or its sender is dropped, the server accepts no more connections, and open ones have
/// [`Limits::shutdown_timeout`] to end. Followers only end in time if [`Settings::stopping`](super::Settings::stopping)
/// has the same receiver. The server has no TLS: put it behind a proxy that terminates TLS.
///
/// ```no_run
/// use std::time::Duration;
/// use telemetra::http::{Limits, Settings, router, serve};
/// use telemetra::prelude::*;
///
/// # async fn run() -> std::io::Result<()> {
/// let view = LiveView::<u64>::new(Duration::from_secs(3600));
/// let (stop, stopping) = tokio::sync::watch::channel(false);
/// let api = router(view.reader()).settings(Settings::new().stopping(stopping.clone())).build();
/// // Give `view` to a pipeline and start it; send `true` by `stop` to end.
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// serve(listener, api, Limits::default(), stopping).await
/// # }
/// ```
///
/// # Errors
///
/// None at present: if accepting a connection fails, for example for want of file descriptors, it is tried again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let limited = Limited {
        listener,
        places: Arc::new(Semaphore::new(limits.connections)),
        silence: limits.idle_timeout,
    };
    let serving = axum::serve(limited, router).with_graceful_shutdown(stopped(stopping.clone()));
    tokio::select! {
        served = serving => served,
        () = async { stopped(stopping).await; sleep(limits.shutdown_timeout).await } => Ok(()),
    }
}

/// Accepts a connection when there is a place for it.
struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small messages have to go at once; without it they only go later.
        let _ = stream.set_nodelay(true);
        let silence = Box::pin(sleep(self.silence));
        (Connection { stream, patience: self.silence, silence, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing has passed over it, in either direction, for too long.
struct Connection {
    stream: TcpStream,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn note_progress(&mut self) {
        let until = Instant::now() + self.patience;
        self.silence.as_mut().reset(until);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.note_progress();
            return Poll::Ready(read);
        }
        ready!(self.silence.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.note_progress();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.note_progress();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
