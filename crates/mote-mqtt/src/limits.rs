//! Every bound of the broker that is not of one file alone; told to users in docs/guide/mqtt.md.

use std::time::Duration;

/// Connections of all namespaces together, and of those those that have not said who they are.
pub(crate) const CONNECTIONS_MAX: usize = 10_000;
pub(crate) const STRANGERS_MAX: usize = 1_000;
/// Of those, from one address (one network of IPv6) that is not this machine's.
pub(crate) const PEER_STRANGERS_MAX: u32 = 100;
/// From the first byte to the end of CONNECT.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Of a client that asks for no keep-alive.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Without a byte that a client takes, while there are some for it.
pub(crate) const STALLED_MAX: Duration = Duration::from_secs(30);
pub(crate) const CLIENT_BYTES_MAX: usize = 256;
/// Messages of a client that wait for the disk, and their bytes.
pub(crate) const RECEIVE_MAX: u16 = 64;
pub(crate) const RECEIVE_BYTES_MAX: usize = 1 << 20;
/// Messages that wait for a client's word.
pub(crate) const IN_FLIGHT_MAX: usize = 64;
pub(crate) const ALIASES_MAX: u16 = 16;
pub(crate) const SUBSCRIPTIONS_MAX: usize = 256;
/// Of a shared subscription's name.
pub(crate) const GROUP_BYTES_MAX: usize = 128;
/// Sessions of a namespace, connected or not.
pub(crate) const SESSIONS_MAX: usize = 10_000;
/// Of those, of one token (all guests are one): it can't have them all.
pub(crate) const OWNERS_SESSIONS_MAX: usize = 7_500;
/// Subscriptions of a namespace.
pub(crate) const SPACE_SUBSCRIPTIONS_MAX: usize = 100_000;
/// Messages for one client in memory, and on disk.
pub(crate) const OUTBOX_MAX: usize = 1_000;
pub(crate) const OUTBOX_BYTES_MAX: usize = 4 << 20;
pub(crate) const WAITING_MAX: u64 = 10_000;
/// Of all copies for sessions that are on their way to the disk, of all namespaces together.
pub(crate) const COPIES_KIB_MAX: u32 = 256 << 10;
pub(crate) const EXPIRY_MAX_S: u32 = 7 * 24 * 3600;
/// Of a namespace.
pub(crate) const RETAINED_MAX: usize = 10_000;
pub(crate) const RETAINED_BYTES_MAX: usize = 16 << 20;
/// A message on its way to a client is another's again after this without a sign of life.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
