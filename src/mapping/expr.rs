//! The one expression language of target profiles (that of minijinja, as Jinja2 has it). What is asked is an expression; what is sent or
//! built is a template, a text with `{{ expression }}` in it, and a template that is nothing but one expression keeps the type of its value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Variables by name. Values are shared, so that a copy costs little.
#[derive(Clone, Debug, Default)]
pub struct Scope(BTreeMap<&'static str, Value>);

impl Scope {
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Scope {
        self.0.insert(name, value);
        self
    }
    pub fn get(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_default()
    }
    fn value(&self) -> Value {
        Value::from(self.0.clone())
    }
}

/// What serde can write, as a value of the language.
pub fn value_of<T: Serialize>(of: T) -> Value {
    Value::from(Serde(of))
}

static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    // an absent field of an absent field is absent: answers of others lack what they like
    language.set_undefined_behavior(UndefinedBehavior::Chainable);
    language.add_filter("to_map", to_map);
    language.add_filter("key_of", key_of);
    language.add_filter("after", |text: String, prefix: String| text.strip_prefix(&prefix).map_or(text.clone(), str::to_owned));
    language.add_filter("json", |value: Value| serde_json::to_string(&value).map_err(|error| invalid(error.to_string())));
    language.add_filter("flat", |lists: Value| -> Result<Value, Error> {
        let lists: Vec<Value> = lists.try_iter()?.collect();
        let items: Result<Vec<Vec<Value>>, Error> = lists.iter().map(|list| Ok(list.try_iter()?.collect())).collect();
        Ok(Value::from(items?.concat()))
    });
    language.add_filter("values", |map: Value| -> Result<Value, Error> {
        Ok(map.try_iter()?.map(|key| map.get_item(&key)).collect::<Result<Vec<Value>, Error>>()?.into())
    });
    language.add_filter("b64", |text: String| STANDARD.encode(text));
    language.add_filter("minor", minor);
    language.add_filter("major", |amount: i64| format!("{}{}.{:02}", if amount < 0 { "-" } else { "" }, amount.abs() / 100, amount.abs() % 100));
    language
});

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

/// What a dotted path leads to.
fn at_path(value: &Value, path: &str) -> Value {
    path.split('.').try_fold(value.clone(), |value, name| value.get_attr(name).ok()).unwrap_or_default()
}

/// `list | to_map('sku', 'id')`: a map from one field of each to another.
fn to_map(list: Value, key: String, field: String) -> Result<Value, Error> {
    let map: BTreeMap<String, Value> = list.try_iter()?.map(|item| (at_path(&item, &key).to_string(), at_path(&item, &field))).collect();
    Ok(Value::from(map))
}

/// `map | key_of(value)`: the first key under which the value stands.
fn key_of(map: Value, value: Value) -> Result<Value, Error> {
    let same = |other: &Value| *other == value || other.to_string() == value.to_string();
    Ok(map.try_iter()?.find(|key| map.get_item(key).is_ok_and(|other| same(&other))).unwrap_or_default())
}

/// `"48.00" | minor`: decimal text or a number of whole units in minor units, exactly.
fn minor(amount: Value) -> Result<i64, Error> {
    let text = amount.to_string();
    let what = || invalid(format!("`{text}` is no amount with at most two decimals, such as 48 or 48.00"));
    let (whole, cents) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let cents = cents.trim_end_matches('0');
    if unsigned.is_empty() || !digits(unsigned) || !digits(cents) || cents.len() > 2 {
        return Err(what());
    }
    let units: i64 = unsigned.parse::<i64>().ok().and_then(|units| units.checked_mul(100)).ok_or_else(what)?;
    let amount = units + format!("{cents:0<2}").parse::<i64>().map_err(|_| what())?;
    Ok(if whole.starts_with('-') { -amount } else { amount })
}

/// One expression.
#[derive(Debug)]
pub struct Expr {
    text: Box<str>,
    /// none of one that could not be read: it has no value
    code: Option<Expression<'static, 'static>>,
}

impl Expr {
    /// `known`: the variables there are at this place.
    pub fn new(text: &str, known: &[&str]) -> Result<Expr, String> {
        let code = LANGUAGE.compile_expression_owned(text.to_owned()).map_err(|error| format!("`{text}` is no expression: {}", plain(&error)))?;
        let unknown: BTreeSet<String> = code.undeclared_variables(false).into_iter().filter(|name| !known.contains(&name.as_str())).collect();
        // names of functions count as variables; the language's own are known to it
        let unknown = unknown.into_iter().find(|name| !LANGUAGE.globals().any(|(global, _)| global == name));
        if let Some(name) = unknown {
            return Err(format!("`{text}`: there is no `{name}` here; there is {}", known.join(", ")));
        }
        if let Some(filter) = filters(text).into_iter().find(|filter| !is_filter(filter)) {
            return Err(format!("`{text}`: there is no filter `{filter}`"));
        }
        if let Some(test) = tests(text).into_iter().find(|test| !is_test(test)) {
            return Err(format!("`{text}`: there is no test `{test}`"));
        }
        Ok(Expr { text: text.into(), code: Some(code) })
    }

    /// Stands for one that could not be read.
    pub(super) fn never() -> Expr {
        Expr { text: "".into(), code: None }
    }

    pub fn eval(&self, scope: &Scope) -> Result<Value, String> {
        let Some(code) = &self.code else { return Ok(Value::default()) };
        code.eval(scope.value()).map_err(|error| format!("`{}`: {}", self.text, plain(&error)))
    }
    pub fn holds(&self, scope: &Scope) -> Result<bool, String> {
        Ok(self.eval(scope)?.is_true())
    }
    /// None where it is absent or null.
    pub fn text(&self, scope: &Scope) -> Result<Option<String>, String> {
        let value = self.eval(scope)?;
        Ok((!value.is_undefined() && !value.is_none()).then(|| value.to_string()))
    }
    /// Each of a list; nothing where it is absent.
    pub fn list(&self, scope: &Scope) -> Result<Vec<Value>, String> {
        let value = self.eval(scope)?;
        if value.is_undefined() || value.is_none() {
            return Ok(Vec::new());
        }
        let items = value.try_iter().map_err(|_| format!("`{}` is no list", self.text))?;
        Ok(items.collect())
    }
}

/// An error without the words around it.
fn plain(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// What stands outside of quotes.
fn unquoted(text: &str) -> String {
    let mut outside = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => outside.push(c),
        }
    }
    outside
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Names after a `|`.
fn filters(text: &str) -> Vec<String> {
    unquoted(text).split('|').skip(1).map(word).filter(|word| !word.is_empty()).collect()
}

/// Names after an `is`, or an `is not`.
fn tests(text: &str) -> Vec<String> {
    let text = unquoted(text);
    let name = |rest: &str| word(rest.trim_start().strip_prefix("not ").unwrap_or(rest));
    text.split(" is ").skip(1).map(name).filter(|word| !word.is_empty()).collect()
}

fn is_test(name: &str) -> bool {
    let tried = LANGUAGE.compile_expression_owned(format!("none is {name}")).and_then(|code| code.eval(Value::from(())));
    tried.err().is_none_or(|error| error.kind() != ErrorKind::UnknownTest)
}

fn is_filter(name: &str) -> bool {
    let tried = LANGUAGE.compile_expression_owned(format!("none|{name}")).and_then(|code| code.eval(Value::from(())));
    tried.err().is_none_or(|error| error.kind() != ErrorKind::UnknownFilter)
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Expr(Expr),
}

/// A text with expressions in it.
#[derive(Debug, Default)]
pub struct Template(Vec<Part>);

impl Template {
    pub fn new(text: &str, known: &[&str]) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let inside = &rest[open + 2..];
            let close = closing(inside).ok_or_else(|| format!("`{text}`: a `{{{{` without its `}}}}`"))?;
            if open > 0 {
                parts.push(Part::Text(rest[..open].into()));
            }
            parts.push(Part::Expr(Expr::new(inside[..close].trim(), known)?));
            rest = &inside[close + 2..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Template(parts))
    }

    pub fn text(&self, scope: &Scope) -> Result<String, String> {
        self.0.iter().try_fold(String::new(), |mut text, part| {
            match part {
                Part::Text(part) => text += part,
                Part::Expr(expr) => text += &expr.text(scope)?.ok_or_else(|| format!("`{}` has no value", expr.text))?,
            }
            Ok(text)
        })
    }

    /// Is something in it made from this variable?
    pub fn names(&self, variable: &str) -> bool {
        let uses = |part: &Part| matches!(part, Part::Expr(Expr { code: Some(code), .. }) if code.undeclared_variables(false).contains(variable));
        self.0.iter().any(uses)
    }

    fn json(&self, scope: &Scope) -> Result<Json, String> {
        let [Part::Expr(only)] = self.0.as_slice() else { return self.text(scope).map(Json::from) };
        let value = only.eval(scope)?;
        if value.is_undefined() {
            return Err(format!("`{}` has no value", only.text));
        }
        serde_json::to_value(&value).map_err(|error| format!("`{}`: {error}", only.text))
    }
}

/// Where the `}}` is that ends an expression: one in quotes does not.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// A value to be built: texts in it are templates; `{ "$each" = "list", "$do" = .. }` is a list with one of `$do` for each `item`.
#[derive(Debug)]
pub enum Shape {
    Leaf(Template),
    Const(Json),
    List(Vec<Shape>),
    Table(Vec<(String, Shape)>),
    Each { each: Expr, make: Box<Shape> },
}

impl Shape {
    pub fn new(json: &Json, known: &[&str]) -> Result<Shape, String> {
        Ok(match json {
            Json::String(text) => Shape::Leaf(Template::new(text, known)?),
            Json::Array(items) => Shape::List(items.iter().map(|item| Shape::new(item, known)).collect::<Result<_, _>>()?),
            Json::Object(table) if table.contains_key("$each") => {
                let (Some(Json::String(each)), Some(make), 2) = (table.get("$each"), table.get("$do"), table.len()) else {
                    return Err("`$each`, an expression, and `$do`, what is made for each `item`, stand together and alone".into());
                };
                let inside: Vec<&str> = known.iter().copied().chain(["item"]).collect();
                Shape::Each { each: Expr::new(each, known)?, make: Box::new(Shape::new(make, &inside)?) }
            }
            Json::Object(table) => {
                let entries = table.iter().map(|(key, value)| Ok((key.clone(), Shape::new(value, known)?)));
                Shape::Table(entries.collect::<Result<_, String>>()?)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Shape::Const(json.clone()),
        })
    }

    pub fn build(&self, scope: &Scope) -> Result<Json, String> {
        Ok(match self {
            Shape::Leaf(template) => template.json(scope)?,
            Shape::Const(json) => json.clone(),
            Shape::List(items) => Json::Array(items.iter().map(|item| item.build(scope)).collect::<Result<_, _>>()?),
            Shape::Table(entries) => {
                let built = entries.iter().map(|(key, shape)| Ok((key.clone(), shape.build(scope)?)));
                Json::Object(built.collect::<Result<_, String>>()?)
            }
            Shape::Each { each, make } => {
                let items = each.list(scope)?.into_iter();
                Json::Array(items.map(|item| make.build(&scope.clone().with("item", item))).collect::<Result<_, _>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(body: Json) -> Scope {
        Scope::default().with("body", value_of(body))
    }

    fn built(shape: Json, body: Json) -> Result<Json, String> {
        Shape::new(&shape, &["body"])?.build(&scope(body))
    }

    #[test]
    fn a_template_that_is_one_expression_keeps_its_type_and_others_are_text() {
        let body = json!({"n": 3, "yes": true, "lines": [1, 2], "none": null});
        assert_eq!(built(json!("{{ body.n }}"), body.clone()), Ok(json!(3)));
        assert_eq!(built(json!("{{ body.yes }}"), body.clone()), Ok(json!(true)));
        assert_eq!(built(json!("{{ body.lines }}"), body.clone()), Ok(json!([1, 2])));
        assert_eq!(built(json!("{{ body.none }}"), body.clone()), Ok(Json::Null));
        assert_eq!(built(json!("n={{ body.n + 1 }} {{ '}}' }}"), body.clone()), Ok(json!("n=4 }}")));
        assert_eq!(built(json!({"a": ["{{ body.n }}", 7, "x"]}), body), Ok(json!({"a": [3, 7, "x"]})));
    }

    #[test]
    fn a_list_is_made_for_each() {
        let shape = json!({"$each": "body.lines", "$do": {"id": "{{ item.sku }}", "q": "{{ -item.n }}"}});
        let body = json!({"lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]});
        assert_eq!(built(shape.clone(), body), Ok(json!([{"id": "A", "q": -1}, {"id": "B", "q": -2}])));
        assert_eq!(built(shape.clone(), json!({})), Ok(json!([])));
        assert!(built(shape, json!({"lines": 7})).is_err_and(|why| why.contains("no list")));
    }

    #[test]
    fn what_is_absent_is_an_error_where_it_is_sent_and_false_where_it_is_asked() {
        assert!(built(json!("{{ body.a.b.c }}"), json!({})).is_err_and(|why| why.contains("`body.a.b.c` has no value")));
        assert_eq!(built(json!("{{ body.a.b | default('x') }}"), json!({})), Ok(json!("x")));
        assert_eq!(Expr::new("body.a.b.c == 3", &["body"]).unwrap().holds(&scope(json!({}))), Ok(false));
    }

    #[test]
    fn mistakes_are_found_before_anything_runs() {
        for (text, why) in [
            ("body.a +", "no expression"),
            ("boddy.a", "there is no `boddy` here; there is body"),
            ("body.a | firts", "no filter `firts`"),
            ("body.a is not containing('x')", "no test `containing`"),
        ] {
            assert!(Expr::new(text, &["body"]).is_err_and(|found| found.contains(why)), "{text}");
        }
        assert!(Template::new("{{ body.a", &["body"]).is_err_and(|why| why.contains("without its")));
        assert!(Shape::new(&json!({"$each": "body"}), &["body"]).is_err_and(|why| why.contains("$do")));
        assert!(Expr::new("range(3) | list", &[]).is_ok());
    }

    #[test]
    fn filters_of_our_own() {
        let eval = |text: &str, body: Json| Expr::new(text, &["body"]).unwrap().eval(&scope(body)).map(|value| serde_json::to_value(value).unwrap());
        let lines = json!({"lines": [{"v": {"sku": "A"}, "id": 7}, {"v": {"sku": "B"}, "id": 9}]});
        assert_eq!(eval("(body.lines | to_map('v.sku', 'id')).B", lines.clone()), Ok(json!(9)));
        assert_eq!(eval("body.lines | to_map('v.sku', 'id') | key_of('7')", lines), Ok(json!("A")));
        assert_eq!(eval("'r1-A' | after('r1-')", json!({})), Ok(json!("A")));
        assert_eq!(eval("body | json | b64", json!({"a": 1})), Ok(json!("eyJhIjoxfQ==")));
        for (amount, minor) in [("'48.00'", 4800), ("48", 4800), ("'-0.5'", -50), ("'12.340'", 1234)] {
            assert_eq!(eval(&format!("{amount} | minor"), json!({})), Ok(json!(minor)), "{amount}");
        }
        assert!(eval("'1.234' | minor", json!({})).is_err() && eval("'abc' | minor", json!({})).is_err());
        assert_eq!(eval("(body | values | first).n", json!({"a": {"n": 3}})), Ok(json!(3)));
        assert_eq!(eval("-1205 | major", json!({})), Ok(json!("-12.05")));
        assert_eq!(eval("body.a | map(attribute='n') | flat | sum", json!({"a": [{"n": [1, 2]}, {"n": []}, {"n": [4]}]})), Ok(json!(7)));
    }
}
