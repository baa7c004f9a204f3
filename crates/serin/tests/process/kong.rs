//! `serin import kong`: what Kong does with a configuration, serin does with what is imported of it.

mod admin;
mod command;
mod page;
mod people;
mod sides;
mod site;
