//! An S3 server in this process, on the loopback: s3s's interface over a folder, as it is published.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// Who may ask.
pub const ACCESS_KEY: &str = "authority";
/// And by what it shows who it is.
pub const SECRET_KEY: &str = "for this test alone";

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    /// Serves `folder`, in which each folder is a bucket, on a port that the system chooses.
    ///
    /// # Errors
    ///
    /// If there is no port, no thread, or the folder cannot be read.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let files =
            FileSystem::new(folder).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = Arc::new(Mutex::new(builder.build()));
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&service)));
            }
        });
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(connection: TcpStream, service: Arc<Mutex<S3Service>>) {
    let answer = service_fn(|request| answer(request, Arc::clone(&service)));
    let server = http1::Builder::new();
    // A client that goes away is no failure of the server's.
    let _ = server
        .serve_connection(TokioIo::new(connection), answer)
        .await;
}

/// Answers one request after the other, each once it is there whole: s3s-fs checks a condition and then writes, which in
/// S3 is one step.
async fn answer(
    request: Request<Incoming>,
    service: Arc<Mutex<S3Service>>,
) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await;
    let body = body
        .map_err(|error| HttpError::new(Box::new(error)))?
        .to_bytes();
    let request = Request::from_parts(parts, Body::from(body));
    service.lock().await.call(request).await
}
