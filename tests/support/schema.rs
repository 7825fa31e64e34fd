//! JSON values, held against the schemas of an OpenAPI document.

use serde_json::Value;
use telemetra::core::parse_timestamp;

/// Checks a value against a schema, as far as the document's schemas go. A keyword that is not known here is an error.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{at}: {value} {what}"));
    let number = |limit: &Value| limit.as_f64().unwrap();
    for (keyword, said) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "description" | "pattern" | "discriminator" | "required" | "propertyNames" => {}
            "$ref" => {
                let target = document.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap();
                check(document, target, value, at)?;
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "null" => value.is_null(),
                    other => panic!("{at}: type {other}"),
                };
                if !said.as_array().map_or_else(|| is(said), |kinds| kinds.iter().any(is)) {
                    return wrong(&format!("is not {said}"));
                }
            }
            "format" if value.is_string() => {
                assert_eq!(said, "date-time");
                if parse_timestamp(value.as_str().unwrap().as_bytes()).is_err() {
                    return wrong("is no time");
                }
            }
            "const" if said != value => return wrong(&format!("is not {said}")),
            "enum" if !said.as_array().unwrap().contains(value) => {
                return wrong(&format!("is not one of {said}"));
            }
            "minimum" if value.as_f64().is_some_and(|value| value < number(said)) => {
                return wrong("is too small");
            }
            "maximum" if value.as_f64().is_some_and(|value| value > number(said)) => {
                return wrong("is too large");
            }
            "maxItems" if value.as_array().unwrap().len() > number(said) as usize => {
                return wrong("is too long");
            }
            "format" | "const" | "enum" | "minimum" | "maximum" | "maxItems" => {}
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, said, item, &format!("{at}[{index}]"))?;
                }
            }
            "oneOf" => {
                let fits = |one: &&Value| check(document, one, value, at).is_ok();
                if said.as_array().unwrap().iter().filter(fits).count() != 1 {
                    return wrong("is not exactly one of those it may be");
                }
            }
            "properties" => {
                for field in schema["required"].as_array().unwrap() {
                    if value.get(field.as_str().unwrap()).is_none() {
                        return wrong(&format!("has no {field}"));
                    }
                }
                for (name, of) in said.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(document, of, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let empty = serde_json::Map::new();
                let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
                let Some(fields) = value.as_object() else { continue };
                for (name, value) in fields.iter().filter(|(name, _)| !known.contains_key(*name)) {
                    if *said == false {
                        return wrong(&format!("has the field {name}, of which nothing is said"));
                    }
                    check(document, said, value, &format!("{at}.{name}"))?;
                }
            }
            other => panic!("{at}: this test does not know `{other}`"),
        }
    }
    Ok(())
}

/// Where the document has the schema of an answer.
pub(crate) fn schema<'a>(document: &'a Value, path: &str, status: u16, kind: &str) -> &'a Value {
    let mut response = &document["paths"][path]["get"]["responses"][status.to_string()];
    if let Some(target) = response["$ref"].as_str() {
        response = document.pointer(target.trim_start_matches('#')).unwrap();
    }
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "the document does not say that {path} may answer {status} as {kind}");
    schema
}
