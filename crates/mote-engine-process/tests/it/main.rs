//! The engine against real processes in real jails.

mod calls;
mod house;
