//! Tests from outside: the real program as processes, and its cores under a simulated world.

mod cluster;
mod stories;
