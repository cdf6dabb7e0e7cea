//! The layers in which settings are said: `default.toml`, the settings file, the environment.
//!
//! Each layer is checked by itself, under its own name, before anything is laid over anything.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use config::{Config, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::error::SettingsError;
use super::keys::{self, Rule};
use super::raw::RawSettings;

const VARIABLE_PREFIX: &str = "CHAT__";
const DATE: &str = "a date";

/// Who had the last word about each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// For what nobody said.
    settings_file: String,
    places: BTreeMap<&'static str, String>,
}

impl Origins {
    /// A file or a variable, and the key, as an error about what it says begins.
    pub fn of(&self, key: &str) -> String {
        format!("{}: {key}", self.places.get(key).unwrap_or(&self.settings_file))
    }
}

/// All layers of one node, the later ones winning.
#[derive(Debug)]
pub struct Layers {
    layers: Vec<Layer>,
}

/// One file, or the whole environment.
#[derive(Debug)]
pub struct Layer {
    /// The file as it was named; `None` for the environment, where each key has its variable.
    file: Option<String>,
    /// Whether it is the `default.toml` beside the settings file.
    is_default: bool,
    /// What it says, by key.
    values: Vec<(&'static str, Value)>,
}

impl Layers {
    /// Reads and checks every layer of the node whose settings file this is.
    ///
    /// # Errors
    /// The first thing that is wrong with a layer taken by itself.
    pub fn read(
        file: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Vec::new();
        let default = file.with_file_name("default.toml");
        // A folder's default.toml may itself be the settings of a node; then it is read once.
        if default.file_name() != file.file_name()
            && let Some(text) = read_file(&default)?
        {
            layers.push(Layer::of_file(&default, &text, true)?);
        }
        let Some(text) = read_file(file)? else {
            let complaint = "does not exist, must be a settings file in TOML";
            return Err(SettingsError::of_place(file.display().to_string(), complaint));
        };
        layers.push(Layer::of_file(file, &text, false)?);
        layers.push(Layer::of_environment(environment)?);
        Ok(Self { layers })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter()
    }

    /// Who had the last word about any of these keys: a file or a variable, and the key; the settings file
    /// and the first key if nobody said anything.
    pub fn origin(&self, paths: &[&'static str]) -> (String, &'static str) {
        for layer in self.layers.iter().rev() {
            if let Some(path) = paths.iter().find(|path| layer.get(path).is_some()) {
                return (layer.place(path), path);
            }
        }
        (self.settings_file(), paths[0])
    }

    /// The same about every key, to be kept.
    pub fn origins(&self) -> Origins {
        let said =
            self.layers.iter().flat_map(|layer| layer.values.iter().map(move |(key, _)| (layer, *key)));
        let places = said.map(|(layer, key)| (key, layer.place(key))).collect();
        Origins { settings_file: self.settings_file(), places }
    }

    /// The name of the settings file.
    pub fn settings_file(&self) -> String {
        let file = self.layers.iter().rev().find_map(|layer| layer.file.clone());
        file.expect("a settings file is always one of the layers")
    }

    /// The layers laid over each other and over the built-in defaults.
    pub fn merged(&self) -> Result<RawSettings, SettingsError> {
        let mut merged = Config::builder();
        for (path, value) in self.layers.iter().flat_map(|layer| &layer.values) {
            merged = merged
                .set_override(*path, value.clone())
                .map_err(|error| SettingsError::of_key(self.settings_file(), *path, flattened(error)))?;
        }
        merged
            .build()
            .and_then(Config::try_deserialize)
            .map_err(|error| SettingsError::of_place(self.settings_file(), flattened(error)))
    }
}

impl Layer {
    /// What this layer says about a key.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| *known == path).map(|(_, value)| value)
    }

    /// Where this layer says something about a key: the file, or the key's variable.
    pub fn place(&self, path: &str) -> String {
        self.file.clone().unwrap_or_else(|| variable(path))
    }

    pub fn is_default(&self) -> bool {
        self.is_default
    }

    fn of_file(file: &Path, text: &str, is_default: bool) -> Result<Self, SettingsError> {
        let name = file.display().to_string();
        let table = parsed(text).map_err(|complaint| SettingsError::of_place(&name, complaint))?;
        let mut values = Vec::new();
        for (section, value) in sorted(table) {
            let prefix = format!("{section}.");
            if !keys::KEYS.iter().any(|key| key.path.starts_with(&prefix)) {
                return Err(SettingsError::of_key(&name, section, unknown(None)));
            }
            let DeValue::Table(table) = value else {
                let is = value_of(value).map_or_else(|| DATE.to_owned(), |value| keys::shown(&value));
                return Err(SettingsError::of_key(&name, section, format!("is {is}, must be a table")));
            };
            for (field, value) in sorted(table) {
                let path = format!("{prefix}{field}");
                let Some(key) = keys::key(&path) else {
                    return Err(SettingsError::of_key(&name, path, unknown(Some(&prefix))));
                };
                let Some(value) = value_of(value) else {
                    let complaint = format!("holds {DATE}, must be {}", key.rule.wanted());
                    return Err(SettingsError::of_key(&name, path, complaint));
                };
                key.rule
                    .check(key.path, &value)
                    .map_err(|it| SettingsError::of_key(&name, it.key, it.says))?;
                values.push((key.path, value));
            }
        }
        Ok(Self { file: Some(name), is_default, values })
    }

    fn of_environment(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut variables: Vec<(OsString, OsString)> = environment
            .into_iter()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(VARIABLE_PREFIX.as_bytes()))
            .collect();
        variables.sort();
        let mut values = Vec::new();
        for (name, value) in variables {
            let place = name.to_string_lossy().into_owned();
            let Some(key) = keys::KEYS.iter().find(|key| variable(key.path) == place) else {
                let complaint = "is an unknown variable, must be CHAT__ and a key, such as CHAT__HTTP__BIND";
                return Err(SettingsError::of_place(place, complaint));
            };
            let Some(text) = value.to_str() else {
                return Err(SettingsError::of_key(place, key.path, "is not UTF-8, must be UTF-8"));
            };
            let value = match key.rule {
                Rule::Members => {
                    let complaint = "cannot be set in the environment, must be in a settings file";
                    return Err(SettingsError::of_key(place, key.path, complaint));
                }
                Rule::PeerUrls => list(text).unwrap_or_else(|| Value::from(text)),
                Rule::Number(..) => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
                Rule::Switch => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
                _ => Value::from(text),
            };
            key.rule.check(key.path, &value).map_err(|it| SettingsError::of_key(&place, it.key, it.says))?;
            values.push((key.path, value));
        }
        Ok(Self { file: None, is_default: false, values })
    }
}

/// The variable that sets a key.
pub fn variable(path: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// The text of a file, without a byte order mark; `None` if there is no such file.
fn read_file(file: &Path) -> Result<Option<String>, SettingsError> {
    let place = || file.display().to_string();
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let complaint = format!("cannot be read ({error}), must be a settings file in TOML");
            return Err(SettingsError::of_place(place(), complaint));
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(SettingsError::of_place(place(), "is not UTF-8, must be a settings file in TOML"));
    };
    Ok(Some(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()))
}

fn parsed(text: &str) -> Result<DeTable<'_>, String> {
    let table = DeTable::parse(text).map_err(|error| format!("is not TOML: {}", flattened(error)))?;
    Ok(table.into_inner())
}

/// A value as the rules look at it; `None` if it holds a date, which no setting is. A number that no setting could be is
/// told like any other that is out of range.
fn value_of(value: DeValue<'_>) -> Option<Value> {
    let kind = match value {
        DeValue::String(text) => ValueKind::String(text.into_owned()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            i64::from_str_radix(digits, radix)
                .map(ValueKind::I64)
                .or_else(|_| i128::from_str_radix(digits, radix).map(ValueKind::I128))
                .unwrap_or_else(|_| ValueKind::Float(digits.parse().unwrap_or(f64::INFINITY)))
        }
        DeValue::Float(number) => ValueKind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => ValueKind::Boolean(value),
        DeValue::Datetime(_) => return None,
        DeValue::Array(values) => ValueKind::Array(
            values.into_iter().map(|value| value_of(value.into_inner())).collect::<Option<_>>()?,
        ),
        DeValue::Table(table) => {
            let entries = sorted(table).into_iter();
            ValueKind::Table(
                entries.map(|(key, value)| Some((key, value_of(value)?))).collect::<Option<_>>()?,
            )
        }
    };
    Some(Value::new(None, kind))
}

/// A list written as TOML.
fn list(text: &str) -> Option<Value> {
    let text = format!("list = {text}");
    let mut entries = sorted(parsed(&text).ok()?);
    let (_, value) = entries.pop().filter(|_| entries.is_empty())?;
    value_of(value).filter(|value| matches!(value.kind, ValueKind::Array(_)))
}

fn sorted(table: DeTable<'_>) -> Vec<(String, DeValue<'_>)> {
    let entries = table.into_iter();
    let mut entries: Vec<_> =
        entries.map(|(key, value)| (key.into_inner().into_owned(), value.into_inner())).collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    entries
}

/// What to say of an unknown key: what is known at that place.
fn unknown(prefix: Option<&str>) -> String {
    let known: Vec<&str> = match prefix {
        Some(prefix) => keys::KEYS.iter().filter_map(|key| key.path.strip_prefix(prefix)).collect(),
        None => {
            let mut sections: Vec<&str> = keys::KEYS
                .iter()
                .filter_map(|key| key.path.split_once('.').map(|(section, _)| section))
                .collect();
            sections.dedup();
            sections
        }
    };
    format!("is an unknown key, must be one of {}", known.join(", "))
}

/// An error of the parser on one line, without the drawing of the place.
fn flattened(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| {
        let gutter = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        !line.is_empty() && !gutter.starts_with('|')
    });
    lines.collect::<Vec<_>>().join(", ").replace("TOML parse error at ", "")
}
