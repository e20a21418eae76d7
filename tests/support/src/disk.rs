//! An image filesystem whose images have layers, some of them in common, and which may be late to show what was freed.

use crigc::hooks::{Hook, Hooks};
use crigc::node::FsUsage;
use crisim::Server;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// A layer of an image: the image's ID, the layer's name, its bytes and its inodes.
pub type Layer = (String, String, u64, u64);

pub struct Disk {
    /// The figures with all images there.
    pub figures: FsUsage,
    pub layers: Vec<Layer>,
    /// So many looks later it shows what was freed.
    pub late: usize,
}

impl Disk {
    /// The hooks of a host that reads the figures of this disk, which has the images of a simulated node.
    pub fn hooks(self, hooks: Hooks, server: &Arc<Server>) -> Hooks {
        let (server, looks) = (server.clone(), Mutex::new(Vec::new()));
        let usage = move || {
            let mut looks = looks.lock().unwrap();
            looks.push(self.now(&server));
            let shown = looks.len().saturating_sub(1).saturating_sub(self.late);
            Some(looks[shown])
        };
        Hooks {
            image_fs: Some(Hook::new(Box::new(usage) as _)),
            ..hooks
        }
    }

    /// A layer is there as long as any of its images is.
    fn now(&self, server: &Server) -> FsUsage {
        let images = server.state().images.into_iter();
        let images: BTreeSet<String> = images.map(|image| image.id.to_string()).collect();
        let layers = self.layers.iter();
        let there = layers.filter(|(image, ..)| images.contains(image));
        let there: BTreeSet<&str> = there.map(|(_, layer, ..)| &**layer).collect();
        let mut now = self.figures;
        let mut freed = BTreeSet::new();
        for (_, layer, bytes, inodes) in &self.layers {
            if !there.contains(&**layer) && freed.insert(layer) {
                now.available += bytes;
                now.inodes_free += inodes;
            }
        }
        now
    }
}
