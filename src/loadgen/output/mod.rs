//! What a run leaves behind: its record, text, files, and one record made of several.

pub mod files;
pub mod merge;
pub mod report;
pub mod text;
