//! An image as one file: an OCI layout with one layer, in a tar.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::PackError;
use crate::tree::{Node, Tree};

/// Packs a tree as an image named `name:version` for `architecture` (as Debian and OCI call it), which runs Pebble as `user`.
///
/// # Errors
///
/// [`PackError`].
pub fn archive(
    tree: &Tree,
    name: &str,
    version: &str,
    user: &str,
    architecture: &str,
) -> Result<Vec<u8>, PackError> {
    let layer = tree.tar()?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&layer)?;
    let packed = packed.finish()?;
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": user,
            "Entrypoint": ["/usr/bin/pebble", "enter"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let mut layout = Tree::default();
    let mut blob = |media: &str, content: Vec<u8>| -> Value {
        let digest = digest(&content);
        let descriptor = json!({"mediaType": media, "digest": digest, "size": content.len()});
        let path = format!("blobs/{}", digest.replace(':', "/"));
        layout.add(&path, Node::File(content), 0o644);
        descriptor
    };
    let layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", packed);
    let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
    let media = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media, "config": config, "layers": [layer]});
    let mut manifest = blob(media, manifest.to_string().into_bytes());
    if let Some(manifest) = manifest.as_object_mut() {
        let name = json!({"org.opencontainers.image.ref.name": version});
        manifest.insert("annotations".to_owned(), name);
    }
    let media = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media, "manifests": [manifest]});
    layout.add_text("index.json", &index.to_string());
    layout.add_text("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}).to_string());
    Ok(layout.tar()?)
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}
