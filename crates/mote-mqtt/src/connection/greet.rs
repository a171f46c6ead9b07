//! The first packet: who comes, whether he may, and what is agreed on.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use mote_core::access::rights::Device;
use mote_core::access::{Caller, Credential};
use mote_core::engine::Connection;
use mote_core::function::Name;
use mote_core::trigger::Stop;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::flight::Flights;
use super::line::{Beyond, Line};
use super::{Guests, LAST_WORDS, READ_BYTES, Talk, Who};
use crate::broker::MqttBroker;
use crate::broker::sessions::Seat;
use crate::limits::{ALIASES_MAX, CLIENT_BYTES_MAX, CONNECT_WAIT, EXPIRY_MAX_S, IN_FLIGHT_MAX, SILENCE_MAX};
use crate::space::{Place, Space};
use crate::wire::{Breach, ConnAck, Connect, Packet, Reason, Reply, Wire};

struct Admitted {
    namespace: Name,
    who: Who,
}

/// The client, if it is let in; else it has been told why not.
pub(super) async fn greet(
    broker: &Arc<MqttBroker>,
    guests: &Guests,
    stop: &mut Stop,
    mut reader: ReadHalf<Box<dyn Connection>>,
    mut writer: WriteHalf<Box<dyn Connection>>,
) -> Option<Talk> {
    let (mut wire, mut input, mut out) = (Wire::Unknown, BytesMut::new(), BytesMut::new());
    // The reading alone is bounded so: who has sat down must rise again.
    let connect = tokio::select! {
        connect = first(&mut wire, &mut reader, &mut input) => connect,
        () = broker.seams.clock.sleep(CONNECT_WAIT) => return None,
        () = stop.wait() => return None,
    };
    let outcome = async {
        let connect = connect?;
        let Admitted { namespace, mut who } = admit(broker, guests, &connect)?;
        let (client, assigned) = client(broker, &connect)?;
        let space = broker.space(&namespace);
        if connect.will.is_some() && !who.may(broker, &space, Device::Publish) {
            return Err(Breach::new(Reason::NotAuthorized, "a will, and the token does not allow to publish"));
        }
        let expiry_s = connect.expiry_s.min(EXPIRY_MAX_S);
        let seat = broker.sit(&space, &client, &who.caller.label(), connect.clean, expiry_s).await?;
        match settle_in(broker, &mut who, &space, &seat) {
            Ok(place) => Ok((connect, who, space, seat, place, assigned, expiry_s)),
            Err(breach) => {
                broker.rise(&space, seat).await;
                Err(breach)
            }
        }
    };
    let (connect, who, space, seat, place, assigned, expiry_s) = match outcome.await {
        Ok(greeted) => greeted,
        Err(breach) => {
            tracing::debug!(reason = ?breach.reason, why = breach.why, "a client is not let in");
            wire.encode(
                Reply::ConnAck(ConnAck { reason: breach.reason, present: false, assigned: None, expiry_s: None, keep_alive_s: None }),
                &mut out,
            );
            let last_words = async {
                let _ = writer.write_all_buf(&mut out).await;
                let _ = writer.shutdown().await;
            };
            tokio::select! { () = last_words => {}, () = broker.seams.clock.sleep(LAST_WORDS) => {} }
            return None;
        }
    };
    wire.widen(connect.packet_max);
    let expiry = (expiry_s != connect.expiry_s).then_some(expiry_s);
    let ack = ConnAck { reason: Reason::Success, present: seat.present, assigned, expiry_s: expiry, keep_alive_s: None };
    wire.encode(Reply::ConnAck(ack), &mut out);
    let now = broker.seams.clock.monotonic();
    let silence_max = match connect.keep_alive_s {
        0 => SILENCE_MAX,
        // One and a half times what was agreed on.
        seconds => Duration::from_millis(u64::from(seconds) * 1500),
    };
    let in_flight = usize::from(connect.receive_max.max(1)).min(IN_FLIGHT_MAX);
    let beyond = if wire.is_v5() { Beyond::Tell } else { Beyond::Leave };
    let flown = std::mem::take(&mut seat.session.state().flown);
    Some(Talk {
        broker: broker.clone(),
        line: Line::new(broker.clone(), space.clone(), seat.session.clone(), beyond),
        space,
        seat,
        place,
        who,
        wire,
        reader,
        writer,
        input,
        out,
        settling: Default::default(),
        flights: Flights::new(in_flight, broker.seams.clock.id(), flown),
        aliases: vec![String::new(); usize::from(ALIASES_MAX)],
        will: connect.will,
        silence_max,
        heard: now,
        took: now,
        looked: now,
    })
}

/// Whether whoever sits there may stay.
fn settle_in(broker: &MqttBroker, who: &mut Who, space: &Arc<Space>, seat: &Seat) -> Result<Place, Breach> {
    // Somebody else may have subscribed, with another token.
    if seat.present && seat.session.listens() && !who.may(broker, space, Device::Subscribe) {
        return Err(Breach::new(Reason::NotAuthorized, "the session has subscriptions, and the token does not allow to read"));
    }
    let connections_max = broker.seams.access.limits.quota(&space.name).connections;
    Place::take(space, connections_max).ok_or_else(|| Breach::new(Reason::Quota, "the namespace has as many connections as it may"))
}

async fn first(wire: &mut Wire, reader: &mut ReadHalf<Box<dyn Connection>>, input: &mut BytesMut) -> Result<Connect, Breach> {
    loop {
        match wire.decode(input)? {
            Some(Packet::Connect(connect)) => return Ok(*connect),
            Some(_) => return Err(Breach::new(Reason::Protocol, "the first packet is no CONNECT")),
            None => {}
        }
        input.reserve(READ_BYTES);
        match reader.read_buf(input).await {
            Ok(0) | Err(_) => return Err(Breach::new(Reason::Unspecified, "the connection ended before its CONNECT")),
            Ok(_) => {}
        }
    }
}

/// The password is a token; the user name, where there is one, the namespace.
fn admit(broker: &MqttBroker, guests: &Guests, connect: &Connect) -> Result<Admitted, Breach> {
    let access = &broker.seams.access;
    let refused = |reason| move |error: mote_core::Error| Breach::new(reason, error.detail().to_owned());
    if connect.method {
        return Err(Breach::new(Reason::BadMethod, "an authentication method was asked for, and mote has none"));
    }
    let asked = connect.username.as_deref().filter(|name| !name.is_empty()).map(Name::new).transpose();
    let asked = asked.map_err(refused(Reason::BadCredential))?;
    let Some(password) = connect.password.as_deref().filter(|password| !password.is_empty()) else {
        let guests = guests.0.as_ref().filter(|namespace| asked.as_ref().is_none_or(|asked| asked == *namespace));
        let namespace = guests.ok_or_else(|| Breach::new(Reason::NotAuthorized, "no password, where a token is wanted"))?;
        let who = Who { credential: Credential::Anonymous, caller: Caller::Anonymous, is_guest: true, refused: Vec::new() };
        return Ok(Admitted { namespace: namespace.clone(), who });
    };
    let token = std::str::from_utf8(password).map_err(|_| Breach::new(Reason::BadCredential, "the password is no token"))?;
    let credential = Credential::Token(token.to_owned());
    let caller = access.caller(&credential).map_err(refused(Reason::BadCredential))?;
    let namespace = asked.or_else(|| caller.bound().cloned()).unwrap_or_else(Name::default_namespace);
    access.permit(&caller, &Device::Connect.rule(&namespace)).map_err(refused(Reason::NotAuthorized))?;
    Ok(Admitted { namespace, who: Who { credential, caller, is_guest: false, refused: Vec::new() } })
}

/// The client's name, and whether it was made up here.
fn client(broker: &MqttBroker, connect: &Connect) -> Result<(String, Option<String>), Breach> {
    if connect.client.is_empty() {
        let random = broker.seams.clock.random().map_err(|error| Breach::new(Reason::Unspecified, error.detail().to_owned()))?;
        let name = format!("mote-{}", URL_SAFE_NO_PAD.encode(&random[..12]));
        return Ok((name.clone(), Some(name)));
    }
    if connect.client.len() > CLIENT_BYTES_MAX || connect.client.chars().any(char::is_control) {
        return Err(Breach::new(Reason::ClientInvalid, "the client's id is too long, or holds control characters"));
    }
    Ok((connect.client.clone(), None))
}
