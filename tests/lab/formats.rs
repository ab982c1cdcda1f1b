//! The formats of a results folder that `lab schema` prints.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::Value;

fn schema(file: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).args(["schema", file]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The keys of `value` that the schema does not describe, with their paths.
fn unknown(value: &Value, schema: &Value, all: &Value, path: &str, found: &mut Vec<String>) {
    let branches = ["anyOf", "oneOf"].iter().filter_map(|key| schema[key].as_array()).flatten();
    let named =
        schema["$ref"].as_str().and_then(|name| all["$defs"].get(name.trim_start_matches("#/$defs/")));
    if let Some(inner) = named.or_else(|| branches.into_iter().find(|branch| branch["type"] != "null")) {
        return unknown(value, inner, all, path, found);
    }
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let path = format!("{path}.{key}");
                match schema["properties"].get(key).or(schema.get("additionalProperties")) {
                    Some(inner) => unknown(field, inner, all, &path, found),
                    None => found.push(path),
                }
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| unknown(item, &schema["items"], all, &format!("{path}[]"), found));
        }
        _ => {}
    }
}

#[test]
fn every_field_of_a_kept_run_and_machine_is_in_the_schema() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/quick/reference");
    let runs = std::fs::File::open(kept.join("runs.jsonl.gz")).unwrap();
    let first = BufReader::new(GzDecoder::new(runs)).lines().next().unwrap().unwrap();
    let machine = std::fs::read_to_string(kept.join("machine.json")).unwrap();
    for (file, text) in [("runs", first), ("machine", machine)] {
        let all: Value = serde_json::from_str(&schema(file)).unwrap();
        let mut found = Vec::new();
        unknown(&serde_json::from_str(&text).unwrap(), &all, &all, file, &mut found);
        assert!(found.is_empty(), "the schema lacks {found:?}");
        assert!(all["properties"]["schema"]["type"] == "integer", "{all:#}");
    }
}

#[test]
fn the_dictionary_names_the_table_column_unit_and_meaning() {
    let text = schema("columns");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("table,column,unit,meaning"));
    assert!(lines.clone().any(|line| line.starts_with("runs.csv,response_p99_us,us,")), "{text}");
    assert!(lines.all(|line| line.split(',').count() >= 4), "{text}");
}
