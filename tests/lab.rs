//! The program `lab` from the outside: real runs, runs that go wrong, and what is left of them.
