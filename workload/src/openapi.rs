//! The description of our HTTP interfaces (OpenAPI 3.1): operations beside the handlers, schemas from the very types that they
//! read and write.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

/// The whole document.
#[must_use]
pub fn document(operations: Vec<Operation>) -> Value {
    let (mut paths, mut schemas) = (BTreeMap::<String, Map<String, Value>>::new(), own_schemas());
    for operation in operations {
        schemas.extend(operation.schemas.clone());
        let path = paths.entry(operation.path.to_owned()).or_default();
        path.insert(operation.method.to_ascii_lowercase(), operation.written());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "MicroCloud Cluster Manager",
            "version": "1.0",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "The Management API (tag `management`) for operators and the Cluster Connector (tag `connector`) for \
                clusters. Every answer below `/1.0` is one JSON object with the same seven keys, but events, this document, the \
                export of the audit log, and what a cluster answers through its tunnel. `HEAD` works wherever `GET` does, except \
                through a tunnel. `x-role` is the least role that an operation needs; `x-mutual-tls` says that a cluster is known by \
                the certificate of its TLS connection.",
        },
        "servers": [{ "url": "/", "description": "The service that serves the operation" }],
        "tags": [
            { "name": "management", "description": "For operators, their browsers and their scripts" },
            { "name": "connector", "description": "For clusters, over mutual TLS" },
            { "name": "oidc", "description": "Login in a browser" },
            { "name": "ui", "description": "The web UI" },
            { "name": "probe", "description": "For the machinery around the services, on a port of its own" },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-mcm-session" },
                "access-token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "An access token of the identity provider for the configured audience",
                },
            },
            "parameters": {
                "ClusterName": {
                    "name": "name", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 },
                    "description": "Name of a cluster: one segment, percent-encoded (`/` as `%2F`)",
                },
            },
            "responses": responses(),
            "schemas": schemas,
        },
    })
}

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A session or an access token.
    Session,
    /// The same of a person with this role or a higher one.
    Role(&'static str),
    /// The certificate of an enrolled cluster.
    Certificate,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    tags: Vec<&'static str>,
    summary: &'static str,
    needs: Needs,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Operation {
    /// An operation without parameters and answers.
    #[must_use]
    pub fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        needs: Needs,
        summary: &'static str,
    ) -> Self {
        let (schemas, parameters) = (BTreeMap::new(), Vec::new());
        let answers = BTreeMap::new();
        Self {
            method,
            path,
            id,
            tags: Vec::new(),
            summary,
            needs,
            parameters,
            body: None,
            answers,
            schemas,
        }
    }

    /// Where the operation belongs.
    #[must_use]
    pub fn tags(mut self, tags: &[&'static str]) -> Self {
        self.tags = tags.to_vec();
        self
    }

    /// The name of a cluster is part of the path.
    #[must_use]
    pub fn named(mut self) -> Self {
        self.parameters.push(json!({ "$ref": "#/components/parameters/ClusterName" }));
        self.refuses(&[400, 404])
    }

    /// A parameter, as the document has it.
    #[must_use]
    pub fn parameter(mut self, parameter: &Value) -> Self {
        self.parameters.push(parameter.clone());
        self
    }

    /// An optional parameter in the query.
    #[must_use]
    pub fn query(mut self, name: &str, schema: &Value, description: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "schema": schema, "description": description,
        }));
        self.refuses(&[400])
    }

    /// An optional header.
    #[must_use]
    pub fn header(mut self, name: &str, schema: &Value, description: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "schema": schema, "description": description,
        }));
        self
    }

    /// The JSON object that the operation takes.
    #[must_use]
    pub fn takes<T: utoipa::ToSchema>(self) -> Self {
        self.takes_as::<T>("application/json")
    }

    /// The form that the operation takes.
    #[must_use]
    pub fn takes_form<T: utoipa::ToSchema>(self) -> Self {
        self.takes_as::<T>("application/x-www-form-urlencoded")
    }

    fn takes_as<T: utoipa::ToSchema>(mut self, media_type: &str) -> Self {
        let schema = self.schema::<T>();
        self.body =
            Some(json!({ "required": true, "content": { media_type: { "schema": schema } } }));
        self.refuses(&[400, 408, 413, 415])
    }

    /// Any JSON, or nothing.
    #[must_use]
    pub fn takes_anything(mut self) -> Self {
        self.body =
            Some(json!({ "required": false, "content": { "application/json": { "schema": {} } } }));
        self.refuses(&[400, 408, 413, 415])
    }

    /// Success with this as metadata.
    #[must_use]
    pub fn gives<T: utoipa::ToSchema>(mut self, description: &str) -> Self {
        let schema = self.schema::<T>();
        self.gives_schema(&schema, description)
    }

    /// Success with a list of these as metadata.
    #[must_use]
    pub fn gives_list<T: utoipa::ToSchema>(mut self, description: &str) -> Self {
        let schema = json!({ "type": "array", "items": self.schema::<T>() });
        self.gives_schema(&schema, description)
    }

    /// Success with a list of these or of those as metadata.
    #[must_use]
    pub fn gives_list_of_either<A, B>(mut self, description: &str) -> Self
    where
        A: utoipa::ToSchema,
        B: utoipa::ToSchema,
    {
        let list = |items| json!({ "type": "array", "items": items });
        let schema = json!({ "anyOf": [list(self.schema::<A>()), list(self.schema::<B>())] });
        self.gives_schema(&schema, description)
    }

    /// Success with metadata of this schema.
    #[must_use]
    pub fn gives_schema(self, metadata: &Value, description: &str) -> Self {
        let envelope = json!({
            "allOf": [
                { "$ref": "#/components/schemas/Envelope" },
                { "type": "object", "properties": { "metadata": metadata } },
            ],
        });
        self.answers(200, &json!({
            "description": description, "content": { "application/json": { "schema": envelope } },
        }))
    }

    /// Success without metadata.
    #[must_use]
    pub fn gives_null(self, description: &str) -> Self {
        self.gives_schema(&json!({ "type": "null" }), description)
    }

    /// An answer of another form.
    #[must_use]
    pub fn answers(mut self, status: u16, answer: &Value) -> Self {
        self.answers.insert(status.to_string(), answer.clone());
        self
    }

    /// Whatever else comes back.
    #[must_use]
    pub fn otherwise(mut self, answer: &Value) -> Self {
        self.answers.insert("default".to_owned(), answer.clone());
        self
    }

    /// The answer does not come again to who sends its tag.
    #[must_use]
    pub fn with_tag(self) -> Self {
        let known = json!({ "type": "string" });
        self.header("If-None-Match", &known, "`ETag` of the answer that is known already").answers(
            304,
            &json!({ "description": "The answer with this `ETag` is still right; no body" }),
        )
    }

    /// Errors, each a JSON object with the same seven keys.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let reference = json!({ "$ref": format!("#/components/responses/{status}") });
            self.answers.entry(status.to_string()).or_insert(reference);
        }
        self
    }

    /// The schema of a type, by its name; what it is made of becomes part of the document.
    fn schema<T: utoipa::ToSchema>(&mut self) -> Value {
        let mut all: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut all);
        for (name, schema) in all {
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }

    fn written(self) -> Value {
        let mut written = json!({
            "operationId": self.id, "tags": self.tags, "summary": self.summary, "responses": self.answers,
            "security": match self.needs {
                Needs::Session | Needs::Role(_) => json!([{ "session": [] }, { "access-token": [] }]),
                Needs::Nothing | Needs::Certificate => json!([]),
            },
        });
        if let Some(object) = written.as_object_mut() {
            if !self.parameters.is_empty() {
                object.insert("parameters".into(), self.parameters.into());
            }
            if let Some(body) = self.body {
                object.insert("requestBody".into(), body);
            }
            match self.needs {
                Needs::Role(role) => drop(object.insert("x-role".into(), role.into())),
                Needs::Certificate => drop(object.insert("x-mutual-tls".into(), "required".into())),
                Needs::Nothing | Needs::Session => {}
            }
        }
        written
    }
}

/// The statuses of errors and what they mean.
const ERRORS: [(u16, &str); 15] = [
    (400, "The input is wrong; the text says what and what is right"),
    (401, "No session, or one that has ended"),
    (403, "Not allowed"),
    (404, "There is no such thing"),
    (405, "The path is there, the method is not; `Allow` names those that are"),
    (408, "The body did not arrive in time"),
    (409, "It is there already, or in the way"),
    (413, "The body is too long"),
    (415, "The body is of a kind that is not accepted"),
    (421, "The host name is not served here"),
    (429, "Too often; `Retry-After` says when to come back"),
    (500, "Our own defect"),
    (502, "Something behind us gave no acceptable answer"),
    (503, "Something that we need is away; `Retry-After` says when to come back"),
    (504, "Something behind us did not answer in time"),
];

fn responses() -> Value {
    let error = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/ErrorEnvelope" } } });
    let response = |(status, description): &(u16, &str)| {
        let mut response = json!({ "description": description, "content": error });
        if matches!(status, 429 | 503)
            && let Some(object) = response.as_object_mut()
        {
            let seconds = json!({ "description": "Whole seconds", "schema": { "type": "string", "pattern": "^[0-9]+$" } });
            object.insert("headers".into(), json!({ "Retry-After": seconds }));
        }
        (status.to_string(), response)
    };
    ERRORS.iter().map(response).collect::<Map<_, _>>().into()
}

fn own_schemas() -> BTreeMap<String, Value> {
    let envelope = |description: &str, properties: Value| {
        json!({
            "type": "object", "description": description, "properties": properties,
            "required": ["type", "status", "status_code", "operation", "error_code", "error", "metadata"],
        })
    };
    let success = json!({
        "type": { "type": "string", "enum": ["sync"] },
        "status": { "type": "string", "enum": ["Success"] },
        "status_code": { "type": "integer", "enum": [200] },
        "operation": { "type": "string", "enum": [""] },
        "error_code": { "type": "integer", "enum": [0] },
        "error": { "type": "string", "enum": [""] },
        "metadata": { "description": "Depends on the operation" },
    });
    let error = json!({
        "type": { "type": "string", "enum": ["error"] },
        "status": { "type": "string", "enum": [""] },
        "status_code": { "type": "integer", "enum": [0] },
        "operation": { "type": "string", "enum": [""] },
        "error_code": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status" },
        "error": { "type": "string", "minLength": 1, "description": "For people" },
        "metadata": { "type": "null" },
    });
    BTreeMap::from([
        ("Envelope".to_owned(), envelope("A success.", success)),
        ("ErrorEnvelope".to_owned(), envelope("An error.", error)),
    ])
}
