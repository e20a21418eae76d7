//! ImageService.

use crate::node::{Image, Node};
use crate::proto::image_service_server::ImageService;
use crate::proto::{self, FilesystemUsage};
use crate::server::{About, Cri};
use tonic::{Request, Response, Status};

fn message(image: &Image) -> proto::Image {
    proto::Image {
        id: image.id.0.clone(),
        repo_tags: image.tags.iter().map(|tag| tag.0.clone()).collect(),
        repo_digests: image
            .digests
            .iter()
            .map(|digest| digest.0.clone())
            .collect(),
        size: image.size,
        pinned: image.pinned,
        spec: (!image.runtime_handler.0.is_empty()).then(|| proto::ImageSpec {
            runtime_handler: image.runtime_handler.0.clone(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// By whatever name: the image goes with all its tags, as in containerd.
fn remove(node: &mut Node, name: &[u8]) -> Result<(), Status> {
    let Some(at) = node.find_image(name) else {
        return match node.not_found_errors {
            true => Err(Status::not_found(format!(
                "image {:?}: not found",
                String::from_utf8_lossy(name)
            ))),
            false => Ok(()),
        };
    };
    node.drop_image(at);
    Ok(())
}

#[tonic::async_trait]
impl ImageService for Cri {
    async fn list_images(
        &self,
        request: Request<proto::ListImagesRequest>,
    ) -> Result<Response<proto::ListImagesResponse>, Status> {
        let filter = request
            .get_ref()
            .filter
            .clone()
            .and_then(|filter| filter.image);
        self.call(&request, About::new("ListImages", b""), |node| {
            let images = match filter.filter(|spec| !spec.image.is_empty()) {
                Some(spec) => node
                    .find_image(&spec.image)
                    .map(|at| message(&node.images[at]))
                    .into_iter()
                    .collect(),
                None => node.images.iter().map(message).collect(),
            };
            Ok(proto::ListImagesResponse { images })
        })
        .await
    }

    async fn image_status(
        &self,
        request: Request<proto::ImageStatusRequest>,
    ) -> Result<Response<proto::ImageStatusResponse>, Status> {
        let name = request.get_ref().image.clone().unwrap_or_default().image;
        self.call(&request, About::new("ImageStatus", &name), |node| {
            if name.is_empty() {
                return Err(Status::unknown("invalid reference format: empty name"));
            }
            let image = node.find_image(&name).map(|at| message(&node.images[at]));
            Ok(proto::ImageStatusResponse {
                image,
                info: Vec::new(),
            })
        })
        .await
    }

    async fn remove_image(
        &self,
        request: Request<proto::RemoveImageRequest>,
    ) -> Result<Response<proto::RemoveImageResponse>, Status> {
        let name = request.get_ref().image.clone().unwrap_or_default().image;
        self.call(&request, About::new("RemoveImage", &name), |node| {
            remove(node, &name)?;
            Ok(proto::RemoveImageResponse {})
        })
        .await
    }

    async fn image_fs_info(
        &self,
        request: Request<proto::ImageFsInfoRequest>,
    ) -> Result<Response<proto::ImageFsInfoResponse>, Status> {
        self.call(&request, About::new("ImageFsInfo", b""), |node| {
            let filesystem = &node.filesystem;
            if filesystem.mountpoint.0.is_empty() {
                return Ok(proto::ImageFsInfoResponse::default());
            }
            let used = node
                .images
                .iter()
                .fold(0u64, |sum, image| sum.saturating_add(image.size));
            Ok(proto::ImageFsInfoResponse {
                image_filesystems: vec![FilesystemUsage {
                    timestamp: 1,
                    fs_id: Some(proto::FilesystemIdentifier {
                        mountpoint: filesystem.mountpoint.0.clone(),
                    }),
                    used_bytes: Some(proto::UInt64Value { value: used }),
                    inodes_used: None,
                }],
                container_filesystems: Vec::new(),
            })
        })
        .await
    }
}
