//! DNS in one jail: datagrams and streams in, answers out.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{Outward, datagram, dns};

/// Questions of one jail that are being answered; more than that are not heard.
const QUESTIONS_MAX: usize = 64;
/// After an error of the socket, which is none of the jail's making.
const RESPITE: Duration = Duration::from_millis(100);

/// Answers what comes to the socket for as long as it is polled.
pub(crate) async fn serve_datagrams(socket: std::net::UdpSocket, outward: Arc<Outward>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut answering = JoinSet::new();
    loop {
        let mut message = vec![0; dns::MESSAGE_BYTES_MAX];
        let received = socket.async_io(Interest::READABLE, || datagram::receive(socket.as_fd(), &mut message)).await;
        while answering.try_join_next().is_some() {}
        let Ok((length, ends)) = received else {
            outward.clock.sleep(RESPITE).await;
            continue;
        };
        // A cut one is no question, and who asks that much at a time can ask again.
        if length > message.len() || answering.len() >= QUESTIONS_MAX {
            continue;
        }
        message.truncate(length);
        let (socket, outward) = (socket.clone(), outward.clone());
        answering.spawn(async move {
            let answer = outward.answer(&message).await;
            if !answer.is_empty() {
                // Whoever asked may be gone, or its buffer full: then it asks again.
                let _ = datagram::send(socket.as_fd(), &answer, ends);
            }
        });
    }
}

/// The same over a stream, one question after the other, each behind its length.
pub(crate) async fn serve_stream(mut connection: impl AsyncRead + AsyncWrite + Unpin, outward: &Outward) -> io::Result<()> {
    let mut message = vec![0; dns::MESSAGE_BYTES_MAX];
    loop {
        let length = usize::from(connection.read_u16().await?);
        let Some(message) = message.get_mut(..length) else { return Ok(()) };
        connection.read_exact(message).await?;
        let answer = outward.answer(message).await;
        let Ok(length) = u16::try_from(answer.len()) else { return Ok(()) };
        if length > 0 {
            connection.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
        }
    }
}
