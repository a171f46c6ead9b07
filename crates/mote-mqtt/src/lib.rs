//! MQTT 3.1.1 and 5: devices connect straight to mote, and functions hear of what they publish.
//!
//! The packets are read and written by rmqtt-codec ([`wire`]); all that a broker promises is here, since
//! a message of QoS 1 or 2 is acknowledged only when it is on disk, which no broker crate lets its host
//! say (docs/adr/0003-mqtt.md). A message comes by [`door`] and [`connection`] to [`broker`], which
//! asks [`space`] who wants it and gives it to each [`session`]. Not here: the words that functions and
//! the API need ([`mote_core::mqtt`]).

mod bridge;
mod broker;
mod connection;
mod door;
pub mod fuzz;
mod limits;
mod session;
mod space;
#[cfg(test)]
mod tests;
mod tree;
mod wire;

pub use bridge::{Carried, Dial, MqttBridge};
pub use broker::{MqttBroker, Seams};
pub use connection::Guests;
pub use door::MqttDoor;
