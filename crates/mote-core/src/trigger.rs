//! The seam of a door: something that turns the outside into events until it is told to stop.

pub mod shares;

use std::sync::Arc;

use tokio::sync::watch;

use crate::BoxFuture;
use crate::engine::Connection;
use crate::error::Result;
use crate::invoke::Invoke;

/// A door that makes events of its own accord (a timer, a broker). A door that answers
/// requests holds an [`crate::action::Platform`] instead.
pub trait Trigger: Send + Sync {
    fn serve(&self, door: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>>;
}

/// What a door's connections go through before anything is said on them: TLS.
pub trait Handshake: Send + Sync {
    /// Bounded in time and number; an error is that client's matter alone.
    fn shake(&self, connection: Box<dyn Connection>) -> BoxFuture<'_, Result<Box<dyn Connection>>>;
}

/// Resolves when the server is told to stop; cheap to clone.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Tells all [`Stop`]s; dropping it tells them too.
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    pub fn new() -> (Stopper, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Stop(receiver))
    }

    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    pub async fn wait(&mut self) {
        // An error means that the Stopper is gone: stop as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}
