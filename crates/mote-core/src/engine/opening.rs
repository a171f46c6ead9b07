//! What is said in the log when an instance takes a call: after the instance's own start, if there is one.
//!
//! The path knows the line and the engine the moment, so the path hands the saying along. Whoever
//! comes first says it; an engine that has no such moment leaves it to the path.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

type Say = Box<dyn FnOnce() + Send>;

/// See the module's text. Empty, there is nothing to say.
#[derive(Clone, Default)]
pub struct Opening(Option<Arc<Mutex<Option<Say>>>>);

impl Opening {
    pub fn new(say: impl FnOnce() + Send + 'static) -> Opening {
        Opening(Some(Arc::new(Mutex::new(Some(Box::new(say))))))
    }

    /// Once, however often it is asked.
    pub fn say(&self) {
        let say = self.0.as_ref().and_then(|say| say.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(say) = say {
            say();
        }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening")
    }
}
