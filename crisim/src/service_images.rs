//! ImageService.

use crate::lists;
use crate::messages::image;
use crate::node::Text;
use crate::proto::{self, FilesystemUsage};
use crate::served::image_service_server::ImageService;
use crate::served::{ListImagesResponse, StreamImagesResponse};
use crate::server::{About, Cri};
use crate::store::Store;
use crate::stream::Sent;
use tonic::{Request, Response, Status};

/// By any of its names: the image is removed with all its tags, as in containerd; if it has several runtime handlers, the one of this
/// handler. CRI-O takes one of several tags away, and leaves the image.
fn remove(store: &mut Store, name: &[u8], handler: &[u8]) -> Result<(), Status> {
    if store.node.like_crio && name.is_empty() {
        return Err(Status::unknown("no image specified"));
    }
    let Some(at) = store.find_image(name) else {
        return if store.node.not_found_errors {
            Err(Status::not_found(format!(
                "image {:?}: not found",
                String::from_utf8_lossy(name)
            )))
        } else {
            Ok(())
        };
    };
    let at = store.of_handler(at, handler);
    let image = store.images.row(at).filter(|_| store.node.like_crio);
    if image.is_some_and(|image| image.tags.len() > 1 && image.tags.iter().any(|tag| tag.0 == name))
    {
        store.untag_image(at, name);
    } else {
        store.drop_image(at);
    }
    Ok(())
}

#[tonic::async_trait]
impl ImageService for Cri {
    async fn list_images(
        &self,
        request: Request<proto::ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        let about = About::list("ListImages", lists::told_of_images(&filter));
        self.call(&request, about, |store| {
            let images = lists::images(store, &filter);
            Ok(ListImagesResponse { images })
        })
        .await
    }

    type StreamImagesStream = Sent<StreamImagesResponse>;

    async fn stream_images(
        &self,
        request: Request<proto::StreamImagesRequest>,
    ) -> Result<Response<Self::StreamImagesStream>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        let about = About::list("StreamImages", lists::told_of_images(&filter));
        let rows = |store: &Store| lists::images(store, &filter);
        self.stream(&request, about, rows, |images| StreamImagesResponse {
            images,
        })
        .await
    }

    async fn image_status(
        &self,
        request: Request<proto::ImageStatusRequest>,
    ) -> Result<Response<proto::ImageStatusResponse>, Status> {
        let name = request.get_ref().image.clone().unwrap_or_default().image;
        self.call(&request, About::new("ImageStatus", &name), |store| {
            if name.is_empty() {
                return Err(Status::unknown("invalid reference format: empty name"));
            }
            let found = store.find_image(&name);
            let image = found.and_then(|at| store.images.row(at)).map(image);
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
        let image = request.get_ref().image.clone().unwrap_or_default();
        let (name, handler) = (image.image, image.runtime_handler);
        self.call(&request, About::new("RemoveImage", &name), |store| {
            remove(store, &name, &handler)?;
            Ok(proto::RemoveImageResponse {})
        })
        .await
    }

    async fn image_fs_info(
        &self,
        request: Request<proto::ImageFsInfoRequest>,
    ) -> Result<Response<proto::ImageFsInfoResponse>, Status> {
        self.call(&request, About::new("ImageFsInfo", b""), |store| {
            let filesystem = &store.node.filesystem;
            if filesystem.mountpoint.0.is_empty() {
                return Ok(proto::ImageFsInfoResponse::default());
            }
            let used = store
                .images
                .iter()
                .fold(0u64, |sum, image| sum.saturating_add(image.size));
            let named = |mountpoint: &Text, used| FilesystemUsage {
                timestamp: 1,
                fs_id: Some(proto::FilesystemIdentifier {
                    mountpoint: mountpoint.0.clone(),
                }),
                used_bytes: Some(proto::UInt64Value { value: used }),
                inodes_used: None,
            };
            let mut image_filesystems = vec![named(&filesystem.mountpoint, used)];
            let further = filesystem.further_mountpoints.iter();
            image_filesystems.extend(further.map(|mountpoint| named(mountpoint, 0)));
            Ok(proto::ImageFsInfoResponse {
                image_filesystems,
                container_filesystems: Vec::new(),
            })
        })
        .await
    }
}
