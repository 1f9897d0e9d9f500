//! Real processes: a multi-call program stands in for Juju's hook tools.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ops::tools::{Failure, calls};
use ops::{Endpoint, HookTools, ProcessTools, RelationId, Status, Tool, ToolError};
use tempfile::TempDir;

/// A file of the repository and not of the test: a program that another thread has just written
/// may be "busy" when it is to be run.
const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-hook-tool");

struct Fake(TempDir);

impl Fake {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for tool in Tool::ALL {
            symlink(FAKE, folder.path().join(tool.name())).unwrap();
        }
        Self(folder)
    }

    fn answering(self, tool: Tool, output: &str) -> Self {
        fs::write(self.path().join(format!("{}.out", tool.name())), output).unwrap();
        self
    }

    fn failing(self, tool: Tool, stderr: &str) -> Self {
        fs::write(self.path().join(format!("{}.err", tool.name())), stderr).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn tools(&self) -> ProcessTools {
        ProcessTools::in_folder(self.path().to_path_buf())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }
}

fn database() -> RelationId {
    RelationId::new(Endpoint::new("database"), 4)
}

#[test]
fn reading_tools_ask_for_json_and_parse_it() {
    let fake = Fake::new()
        .answering(Tool::ConfigGet, "{\"port\": 443}\n")
        .answering(Tool::IsLeader, "true\n")
        .answering(Tool::RelationIds, "[\"database:12\", \"database:4\"]\n")
        .answering(Tool::RelationList, "\"postgresql-k8s\"\n")
        .answering(Tool::RelationGet, "{\"endpoints\": \"db:5432\"}\n")
        .answering(Tool::StatusGet, "{\"status\":\"unknown\",\"message\":\"\",\"status-data\":{}}");
    let tools = fake.tools();
    assert_eq!(calls::config_get(&tools).unwrap()["port"], 443);
    assert!(calls::is_leader(&tools).unwrap());
    let ids = calls::relation_ids(&tools, &Endpoint::new("database")).unwrap();
    assert_eq!(ids.iter().map(RelationId::number).collect::<Vec<_>>(), [4, 12]);
    let app = calls::relation_app(&tools, &database()).unwrap();
    let bag = calls::relation_get_app(&tools, &database(), &app).unwrap();
    assert_eq!(bag["endpoints"], "db:5432");
    assert_eq!(calls::status_get(&tools).unwrap().status, "unknown");
    assert_eq!(
        fake.log(),
        "<config-get><--format=json>\n\
         <is-leader><--format=json>\n\
         <relation-ids><--format=json><database>\n\
         <relation-list><--format=json><--app><-r><database:4>\n\
         <relation-get><--format=json><-r><database:4><--app><-><postgresql-k8s>\n\
         <status-get><--include-data><--format=json>\n"
    );
}

#[test]
fn free_text_cannot_become_an_option_or_a_command() {
    let fake = Fake::new();
    calls::status_set(&fake.tools(), &Status::blocked("--help; $(touch x) `id`")).unwrap();
    calls::action_fail(&fake.tools(), "-r").unwrap();
    calls::action_set(&fake.tools(), &[("status", "a b=c")]).unwrap();
    assert_eq!(
        fake.log(),
        "<status-set><blocked><--><--help; $(touch x) `id`>\n\
         <action-fail><--><-r>\n\
         <action-set><status=a b=c>\n"
    );
}

#[test]
fn databag_content_travels_on_standard_input() {
    let fake = Fake::new();
    let long = "x\n\"é".repeat(100_000);
    let values = [("key".to_owned(), long), ("gone".to_owned(), String::new())].into();
    calls::relation_set_app(&fake.tools(), &database(), &values).unwrap();
    assert_eq!(fake.log(), "<relation-set><-r><database:4><--app><--file><->\n");
    let input = fs::read(fake.path().join("relation-set.stdin")).unwrap();
    let read: calls::Bag = serde_json::from_slice(&input).unwrap();
    assert_eq!(read, values);
}

#[test]
fn a_tool_that_fails_early_is_reported_in_its_own_words() {
    // It reads nothing, so that a large input breaks the pipe.
    let fake = Fake::new().failing(Tool::RelationSet, "ERROR cannot write relation settings\n");
    let input = vec![b'x'; 4 * 1024 * 1024];
    let error = fake.tools().call(Tool::RelationSet, &[], Some(&input)).unwrap_err();
    assert_eq!(error.failure(), Some(Failure::NotLeader));
    assert_eq!(error.to_string(), "hook tool relation-set failed: cannot write relation settings");
}

#[test]
fn failures_keep_their_kind() {
    let fake = Fake::new().failing(
        Tool::RelationGet,
        "ERROR invalid value \"database:4\" for option -r: relation not found\n",
    );
    let app = ops::AppName::parse("postgresql-k8s").unwrap();
    let error = calls::relation_get_app(&fake.tools(), &database(), &app).unwrap_err();
    assert_eq!(error.failure(), Some(Failure::RelationGone));
}

#[test]
fn output_of_an_unexpected_form_is_not_quoted() {
    let fake = Fake::new().answering(Tool::ConfigGet, "[\"top secret\"]");
    let error = calls::config_get(&fake.tools()).unwrap_err();
    assert_eq!(error.to_string(), "hook tool config-get gave output of an unexpected form");
    assert!(!format!("{error:?}").contains("top secret"));
}

#[test]
fn a_missing_tool_is_named() {
    let folder = TempDir::new().unwrap();
    let tools = ProcessTools::in_folder(folder.path().to_path_buf());
    let error = calls::is_leader(&tools).unwrap_err();
    assert!(matches!(error, ToolError::Run { tool: Tool::IsLeader, .. }));
    assert_eq!(error.to_string(), "hook tool is-leader could not be run");
}
