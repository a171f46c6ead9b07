//! The engine against real processes in real jails.

mod calls;
mod cold;
mod confinement;
mod executables;
mod extensions;
mod handlers;
mod house;
mod install;
mod instances;
mod jail;
mod leaks;
mod limits;
mod pool;
mod pulls;
mod runtimes;
mod sealed;
mod servers;
mod spares;
