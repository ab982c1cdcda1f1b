//! HTTP/1.1 on bytes: requests, responses, limits. Pure: nothing here reads or writes a socket.
