//! Values held against the schemas of a description.

use serde_json::Value;

/// What is wrong with a value. Stricter than JSON Schema: an object holds nothing that is not described.
pub fn check(root: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointed = root.pointer(reference.trim_start_matches('#'));
        let pointed = pointed.ok_or_else(|| format!("{place}: {reference} is not there"))?;
        return check(root, pointed, value, place);
    }
    if let Some(all) = schema["oneOf"].as_array() {
        let checked = all.iter().map(|one| check(root, one, value, place));
        let (right, wrong): (Vec<_>, Vec<_>) = checked.partition(Result::is_ok);
        let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
        return match right.len() {
            1 => Ok(()),
            0 => Err(format!("{place}: is none of all: {}", wrong.join("; "))),
            several => Err(format!("{place}: is {several} at the same time")),
        };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        other => return Err(format!("{place}: no type: {other}")),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_number = kind == "integer" && kinds.contains(&"number");
    if !is_number && !kinds.contains(&kind) {
        return Err(format!("{place}: {kind}, not {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return Err(format!("{place}: {value} is none of {}", schema["enum"]));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{place}: {value}, not {}", schema["const"]));
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            check(root, &schema["items"], item, &format!("{place}[{index}]"))?;
        }
    }
    let Value::Object(fields) = value else { return Ok(()) };
    for needed in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(needed) {
            return Err(format!("{place}: {needed} is missing"));
        }
    }
    for (name, field) in fields {
        let described = match schema["properties"].get(name) {
            Some(described) => described,
            None if schema.get("properties").is_none() && schema.get("additionalProperties").is_none() => {
                continue;
            }
            None if schema["additionalProperties"].is_object() => &schema["additionalProperties"],
            None => return Err(format!("{place}: {name} is not described")),
        };
        check(root, described, field, &format!("{place}.{name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn the_check_finds_what_is_wrong() {
        let root =
            json!({"a": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}});
        let schema = json!({"$ref": "#/a"});
        let wrong = |value: Value| check(&root, &schema, &value, "x").is_err();
        assert!(!wrong(json!({"n": 1})));
        for value in
            [json!({}), json!({"n": "1"}), json!({"n": 1, "m": 1}), json!([]), Value::Object(Map::new())]
        {
            assert!(wrong(value.clone()), "{value}");
        }
        let either = json!({"oneOf": [schema.clone(), {"type": "string"}, {"type": ["string", "null"]}]});
        for (value, is_one) in
            [(json!({"n": 1}), true), (Value::Null, true), (json!("a"), false), (json!(1), false)]
        {
            assert_eq!(check(&root, &either, &value, "x").is_ok(), is_one, "{value}");
        }
        assert!(check(&root, &json!({"type": ["number", "null"]}), &json!(1), "x").is_ok());
        assert!(check(&root, &json!({"type": "string", "enum": ["a"]}), &json!("b"), "x").is_err());
        assert!(check(&root, &json!({"type": "array", "items": schema}), &json!([{}]), "x").is_err());
    }
}
