//! The Pebble client against the fake container, over a real socket.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::BTreeMap;
use std::time::Duration;

use ops::model::Changed;
use ops::pebble::{Exec, FileSpec, Layer, Pebble, PebbleError, Service};
use ops::testing::FakePebble;
use secrecy::ExposeSecret;
use tempfile::TempDir;

const TIME: Duration = Duration::from_secs(10);

fn container() -> (TempDir, FakePebble, Pebble) {
    let folder = TempDir::new().unwrap();
    let fake = FakePebble::start(folder.path(), "web").unwrap();
    let pebble = Pebble::in_folder(folder.path(), "web");
    (folder, fake, pebble)
}

fn layer(command: &str) -> Layer {
    let service = Service { command: command.to_owned(), ..Service::default() };
    Layer { services: BTreeMap::from([("web".to_owned(), service)]), ..Layer::default() }
}

#[test]
fn a_container_that_is_away_is_not_ready() {
    let (folder, fake, pebble) = container();
    assert_eq!(pebble.connect().unwrap().version, "v1.32.1");
    fake.set_down(true);
    assert!(pebble.connect().unwrap_err().is_not_ready());
    assert!(Pebble::in_folder(folder.path(), "none").connect().unwrap_err().is_not_ready());
    assert_eq!(pebble.connect().unwrap_err().to_string(), "the container is not ready");
}

#[test]
fn a_layer_is_pushed_when_it_differs_and_replan_starts_what_changed() {
    let (_folder, fake, pebble) = container();
    let plan = || serde_yaml::from_str(&pebble.plan().unwrap()).unwrap();
    let push = |layer| pebble.add_layer_if_changed("web", &layer, &plan()).unwrap();
    assert_eq!(push(layer("/bin/web")), Changed::Yes);
    pebble.replan(TIME).unwrap();
    assert_eq!(push(layer("/bin/web")), Changed::No);
    pebble.replan(TIME).unwrap();
    assert_eq!(fake.starts()["web"], 1);
    assert_eq!(push(layer("/bin/web --more")), Changed::Yes);
    pebble.replan(TIME).unwrap();
    assert_eq!(fake.starts()["web"], 2);
    assert!(pebble.services().unwrap()[0].is_active());
    pebble.stop(&["web"], TIME).unwrap();
    assert!(!pebble.services().unwrap()[0].is_active());
    let error = pebble.stop(&["none"], TIME).unwrap_err();
    assert_eq!(error.to_string(), "Pebble refused: service \"none\" does not exist");
}

#[test]
fn files_are_private_and_written_when_they_differ() {
    let (_folder, fake, pebble) = container();
    let content: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let files = [FileSpec::private("/etc/web/key", content.clone()), FileSpec::private("/a", "x")];
    assert_eq!(pebble.write_files(&files).unwrap().written, ["/etc/web/key", "/a"]);
    assert_eq!(fake.files()["/etc/web/key"], (content.clone(), "600".to_owned()));
    assert!(pebble.write_files(&files).unwrap().written.is_empty());
    let changed = [FileSpec::private("/etc/web/key", content), FileSpec::private("/a", "y")];
    assert_eq!(pebble.write_files(&changed).unwrap().written, ["/a"]);
    assert_eq!(pebble.read_file("/a").unwrap().unwrap().expose_secret(), b"y");
    assert!(pebble.read_file("/none").unwrap().is_none());
    pebble.remove_file("/a").unwrap();
    pebble.remove_file("/a").unwrap();
    assert!(fake.file("/a").is_none());
    assert!(matches!(pebble.read_file("relative"), Err(PebbleError::File { .. })));
}

#[test]
fn a_command_gives_its_output_and_its_exit_code() {
    let (_folder, fake, pebble) = container();
    fake.on_exec(Box::new(|command| (3, format!("{}\n", command.join("|")), "oh".into())));
    let words = ["/bin/tool", "$(id)", "a b"].map(str::to_owned).to_vec();
    let exec = Exec { command: words, timeout: TIME, ..Exec::default() };
    let output = pebble.exec(&exec).unwrap();
    assert_eq!(output.exit_code, 3);
    assert_eq!(output.stdout.expose_secret(), "/bin/tool|$(id)|a b\n");
    assert_eq!(output.stderr.expose_secret(), "oh");
    assert!(!format!("{output:?}").contains("oh"));
    let context = Exec { service_context: Some("none".into()), ..exec };
    assert!(matches!(pebble.exec(&context), Err(PebbleError::Api { status: 400, .. })));
}

#[test]
fn a_service_is_restarted_by_name_and_a_notice_is_posted() {
    let (_folder, fake, pebble) = container();
    pebble.add_layer("web", &layer("/bin/web")).unwrap();
    pebble.replan(TIME).unwrap();
    pebble.restart(&["web"], TIME).unwrap();
    assert_eq!(fake.starts()["web"], 2);
    assert!(matches!(pebble.restart(&["none"], TIME), Err(PebbleError::Api { status: 400, .. })));
    pebble.notify("example.com/changed").unwrap();
    fake.set_down(true);
    assert!(pebble.notify("example.com/changed").unwrap_err().is_not_ready());
}
