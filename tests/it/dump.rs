//! A dump of the database, as a backup is one, is of no use to who steals it (security property STORE-01 with JOIN-02 and SESS-01), and
//! serves clusters on where somebody restores it (STORE-03).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cluster_simulator::{ClientError, JoinToken, Member, STATUS_PATH};
use end_to_end_tests::{CLIENT_SECRET, Deployment, Running, TestDatabase};
use reqwest::Method;
use reqwest::header::{COOKIE, HeaderMap};
use serde_json::json;

/// A client program of PostgreSQL, of the server's own version, that works on a database.
fn client(program: &str, database: &TestDatabase) -> Command {
    let settings: std::collections::BTreeMap<_, _> = database.settings().into_iter().collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap();
    let newest: PathBuf = versions
        .map(|version| version.unwrap().path())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()))
        .unwrap();
    let mut command = Command::new(newest.join("bin").join(program));
    command.args(["-h", &settings["DB_HOST"], "-p", &settings["DB_PORT"]]);
    command.args(["-U", &settings["DB_USER"], "-d", &settings["DB_NAME"]]);
    command
}

fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn pg_dump(database: &TestDatabase, options: &[&str]) -> Vec<u8> {
    output_of(client("pg_dump", database).args(options))
}

/// How a secret may be written: as it is, in hexadecimal, in base64 at each of three alignments, in an address, in JSON.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![
        secret.to_owned(),
        hex::encode(bytes),
        hex::encode_upper(bytes),
        url::form_urlencoded::byte_serialize(bytes).collect(),
        json!(secret).to_string().trim_matches('"').to_owned(),
    ];
    for skipped in 0..3 {
        let whole = &bytes[skipped..bytes.len() - (bytes.len() - skipped) % 3];
        forms.extend([STANDARD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]);
    }
    forms
}

#[tokio::test]
async fn store_01_a_real_dump_holds_nothing_that_anybody_could_use() {
    let mut deployment = Deployment::new().await;
    // Access tokens are stored, too, where they are forwarded.
    deployment.extra.push(("TUNNEL_FORWARD_ACCESS_TOKEN", "true".into()));
    let Running { deployment, provider, manager: _manager, connector: _connector, mut ada } =
        Running::of(deployment).await;
    let id_tokens: Arc<Mutex<Vec<String>>> = Arc::default();
    let signed = Arc::clone(&id_tokens);
    provider.sign_with(move |keys, claims| {
        let token = keys.sign(claims);
        signed.lock().unwrap().push(token.clone());
        token
    });
    let mut other = deployment.operator();
    for person in [&mut ada, &mut other] {
        assert_eq!(provider.log_in(person).await.status, 303);
    }
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE sessions SET verified_at = now() - interval '20 min'").await.unwrap();
    assert_eq!(ada.get("/1.0/remote-cluster").await.status, 200, "verified once more");
    drop(deployment.enrol("lyon").await);
    let pending = deployment.token("oslo");
    let rotation =
        ada.send(Method::POST, "/1.0/remote-cluster/lyon/rotation-token", Some(&json!({}))).await;
    let rotation = JoinToken::decode(rotation.metadata()["token"].as_str().unwrap()).unwrap();

    let mut secrets = vec![CLIENT_SECRET.to_owned(), "opaque".to_owned()];
    for person in [&ada, &other] {
        secrets.push(person.cookie("__Host-mcm-session").unwrap().to_owned());
    }
    for token in [&pending, &rotation] {
        secrets.push(token.text().to_owned());
        secrets.push(token.body().secret.clone());
        secrets.push(String::from_utf8(STANDARD.decode(token.text()).unwrap()).unwrap());
    }
    secrets.extend(id_tokens.lock().unwrap().iter().cloned());
    // The provider numbers its refresh tokens by its calls.
    secrets.extend((0..=provider.calls(|_| true).len()).map(|n| format!("refresh-{n}")));
    let keys = key_files(&deployment.file("data"));
    assert!(!keys.is_empty(), "the master key is a file");
    secrets.extend(keys);
    let dumps =
        [&["--format=plain"][..], &["--format=plain", "--inserts"], &["--format=custom", "-Z0"]];
    for options in dumps {
        let dump = pg_dump(&deployment.database, options);
        let has = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
        for table in ["sessions", "join_tokens", "audit_events", "lyon", "ada@example.com"] {
            assert!(has(table), "{options:?}: {table}");
        }
        for secret in &secrets {
            for form in forms(secret) {
                assert!(!has(&form), "{options:?} holds {secret} as {form}");
            }
        }
    }

    // What is stored instead opens nothing.
    let stored = "SELECT encode(id_hash, 'hex'), encode(id_hash, 'base64') FROM sessions";
    for row in db.query(stored, &[]).await.unwrap() {
        for column in 0..2 {
            let hash: String = row.try_get(column).unwrap();
            let url_safe = hash.replace('+', "-").replace('/', "_").replace('=', "");
            for value in [hash, url_safe] {
                let mut thief = deployment.operator();
                let cookie = format!("__Host-mcm-session={value}").parse().unwrap();
                let headers = HeaderMap::from_iter([(COOKIE, cookie)]);
                let answer = thief.raw(Method::GET, "/1.0", headers, String::new()).await;
                assert_eq!(answer.status, 401, "{value}: {}", answer.body);
            }
        }
    }
}

/// The text and the bytes of every file in a folder, as text.
fn key_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        found.extend(String::from_utf8(bytes).map(|text| text.trim().to_owned()));
    }
    found
}

#[tokio::test]
async fn store_03_a_restored_dump_serves_clusters_on_and_voids_every_session_and_pending_secret() {
    let mut before = Running::start().await;
    let lyon = before.deployment.enrol("lyon").await;
    assert_eq!(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
    let pending = before.deployment.token("oslo");
    assert_eq!(before.ada.get("/1.0/remote-cluster").await.status, 200);
    let session = before.ada.cookie("__Host-mcm-session").unwrap().to_owned();

    // Elsewhere, with a master key, keys and certificates of its own.
    let dump = before.deployment.file("dump.sql");
    let options = ["--format=plain", "--schema=cluster_manager"];
    std::fs::write(&dump, pg_dump(&before.deployment.database, &options)).unwrap();
    let restored = TestDatabase::create().await;
    let run = ["--quiet", "--set=ON_ERROR_STOP=1", "--file", dump.to_str().unwrap()];
    output_of(client("psql", &restored).args(run));
    let after = Running::of(Deployment::on(restored)).await;
    let pin = after.deployment.member(&after.deployment.token("new")).pin().clone();

    let lyon = Member::new(lyon.identity().clone(), pin.clone());
    assert_eq!(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
    let oslo = Member::new(before.deployment.member(&pending).identity().clone(), pin);
    let Err(ClientError::Refused(refused)) = oslo.join_signed(&pending).await else {
        panic!("the sealed secret of a token is of no use under another master key")
    };
    assert_eq!(refused.status, 403, "{}", refused.body);
    oslo.join(&pending).await.expect("who has the whole token needs no key of ours");
    let mut thief = after.deployment.operator();
    let cookie = format!("__Host-mcm-session={session}").parse().unwrap();
    let headers = HeaderMap::from_iter([(COOKIE, cookie)]);
    let answer = thief.raw(Method::GET, "/1.0/remote-cluster", headers, String::new()).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    let ended = "SELECT count(*) FROM sessions";
    assert_eq!(after.deployment.database.count(ended).await, 1, "only the new login is left");
}
