//! `--max-per-client`: what one client address may hold at once. Connections count while they are slow, handlers while they run.
//! A request counts for the client that a trusted proxy names. The proxy's own connections, and those through a unix socket, have no
//! limit.

use std::net::IpAddr;

use super::connection::Connection;
use super::handler_queue::{Limit, Of};
use super::shared::Shared;
use crate::http::forwarded::address_of;
use crate::http::request::Head;
use crate::scoreboard::clients::{Client, Clients, Taken};
use crate::server::logging::Asked;

impl Shared {
    /// The client with this address and its limit, if it has one.
    fn client_of(&self, address: impl FnOnce() -> Option<IpAddr>) -> Option<(&'static Clients, Client, u64)> {
        let most = self.settings.max_per_client?;
        let clients = self.board.clients()?;
        let address = address().filter(|address| !self.proxies.trusts(*address))?;
        Some((clients, clients.of(address), most))
    }

    /// Takes a handler slot of the client. Returns the client if the slot is counted.
    ///
    /// # Errors
    /// The limit, if it is reached.
    pub fn take_handler(
        &self,
        connection: &Connection,
        head: &Head<'_, '_>,
    ) -> Result<Option<Client>, Limit> {
        let address = || connection.origin(Asked::Request(head), &self.proxies).address();
        let Some((clients, client, most)) = self.client_of(address) else { return Ok(None) };
        match clients.take_handler(client, most) {
            Taken::Counted => Ok(Some(client)),
            Taken::Uncounted => Ok(None),
            Taken::Refused => Err(Limit { of: Of::Client(client), most }),
        }
    }

    /// Gives back the slot of a handler that could not be started.
    pub fn give_back_handler(&self, client: Option<Client>) {
        if let (Some(client), Some(clients)) = (client, self.board.clients()) {
            clients.end_handler(client);
        }
    }
}

/// A slow connection's place among those of its client; free again when this is dropped.
#[derive(Debug)]
pub enum Held {
    /// The connection is not limited, or not counted.
    Free,
    Counted {
        clients: &'static Clients,
        client: Client,
        row: usize,
    },
}

impl Held {
    /// `None` if the client has as many connections as it may. Besides them, as many may linger after their answer.
    pub fn take(shared: &Shared, connection: &Connection, lingers: bool) -> Option<Self> {
        let address = || address_of(connection.peer);
        let Some((clients, client, most)) = shared.client_of(address) else { return Some(Self::Free) };
        let (row, most) = (shared.slot, if lingers { 2 * most } else { most });
        match clients.take_connection(client, row, shared.board.used_rows(), most) {
            Taken::Counted => Some(Self::Counted { clients, client, row }),
            Taken::Uncounted => Some(Self::Free),
            Taken::Refused => None,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Counted { clients, client, row } = self {
            clients.end_connection(*client, *row);
        }
    }
}
