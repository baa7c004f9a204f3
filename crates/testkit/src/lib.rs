//! What tests share: loopback origins, builders, a real API server.
