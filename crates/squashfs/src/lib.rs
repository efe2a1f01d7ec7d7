//! squashfs 4.0 images, written in parallel and the same bytes every time
