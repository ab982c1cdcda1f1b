//! Connections, as opposed to requests: how long each is used, what may take how long, and counts of what became of
//! them. It knows no sockets.

/// How long a connection is used, and who ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// Requests on one connection at most, at least 1; `u64::MAX`: as many as the server lets.
    pub requests: u64,
    /// We close it after the last response, without a word to the server before. Otherwise the last request asks the
    /// server to, and the response is over when it has.
    pub client_closes: bool,
}

/// The longest times that are waited, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request as a whole, from its actual start.
    pub total_ns: u64,
    /// For its connection, from the actual start.
    pub connect_ns: u64,
    /// For the first byte of the response, from when the connection stands; on a kept one from the actual start.
    pub first_byte_ns: u64,
}

impl Timeouts {
    /// The shortest of them.
    pub fn shortest_ns(&self) -> u64 {
        self.total_ns.min(self.connect_ns).min(self.first_byte_ns)
    }
}

/// SYN segments that had to be sent again before a connection stood: told apart up to this many, then together.
pub const RETRANSMIT_STEPS: usize = 4;

/// Counts of the connections of one thread, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Connections that stood.
    pub opened: u64,
    /// Requests that found their connection open already.
    pub reused: u64,
    /// Connections that replaced a kept one which the server had closed while no request was on it.
    pub reconnects: u64,
    /// Of those opened, how many needed 0, 1, 2, and 3 or more retransmissions of the SYN. The first comes about 1 s
    /// after the SYN: a connection that shows one took a second for the network's or the accept queue's sake, not
    /// because the server was slow to answer.
    pub syn_retransmits: [u64; RETRANSMIT_STEPS],
}

impl Connections {
    /// A connection stands after this many retransmissions of its SYN.
    pub fn open(&mut self, retransmits: u32) {
        self.opened += 1;
        self.syn_retransmits[(retransmits as usize).min(RETRANSMIT_STEPS - 1)] += 1;
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.reused += other.reused;
        self.reconnects += other.reconnects;
        self.syn_retransmits.iter_mut().zip(other.syn_retransmits).for_each(|(mine, theirs)| *mine += theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opened_connection_stands_in_one_step() {
        let mut connections = Connections::default();
        for retransmits in [0, 0, 1, 2, 3, 9] {
            connections.open(retransmits);
        }
        assert_eq!((connections.opened, connections.syn_retransmits), (6, [2, 1, 1, 2]));
        connections.add(&connections.clone());
        assert_eq!((connections.opened, connections.syn_retransmits), (12, [4, 2, 2, 4]));
    }
}
