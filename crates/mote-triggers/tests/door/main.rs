//! The HTTP door over real loopback sockets, with a platform that follows a script.
//!
//! Time is a fake clock's, so a stall or a drain takes no time here; the client speaks raw
//! bytes where the wire is the matter, and hyper's HTTP/2 where frames are.

mod compression;
mod hostile;
mod http2;
mod requests;
mod stopping;
mod turns;
mod world;
