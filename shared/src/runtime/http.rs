//! Requests of an HTTP API, in payload format 2.0.

use std::{convert::Infallible, fmt::Debug, marker::PhantomData, net::IpAddr, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::Response;
use lambda_http::{
    Adapter, Body, IntoResponse, LambdaEvent, RequestExt,
    aws_lambda_events::apigw::ApiGatewayV2httpRequestContext,
    lambda_runtime::{Service, service_fn},
    request::{LambdaRequest, RequestContext},
    tower::ServiceExt,
};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use tracing::{Instrument, Span};

use super::now;
#[cfg(feature = "server-api")]
use crate::reconcile::Reconcile;
use crate::{
    callback::Callback,
    erase::Erase,
    handler::Receiver,
    http::{PATH, Reply, Request},
    providers::Configured,
    query::Queries,
    request_id::RequestId,
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};

/// How a Lambda function answers a request of its HTTP API.
pub trait Function: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: &Request) -> impl Future<Output = Reply> + Send;
}

/// The function of callback type `C`.
#[derive(Debug)]
pub struct CallbackFunction<C> {
    receiver: Receiver,
    callback: PhantomData<fn() -> C>,
}

impl<C> CallbackFunction<C> {
    /// Receives callbacks with `receiver`.
    #[must_use]
    pub fn new(receiver: Receiver) -> Self {
        Self { receiver, callback: PhantomData }
    }
}

impl<C: Callback<Provider: Configured>> Function for CallbackFunction<C> {
    async fn answer(&self, request: &Request) -> Reply {
        self.receiver.receive::<C>(request).await
    }
}

impl Function for Queries {
    async fn answer(&self, request: &Request) -> Reply {
        Self::answer(self, request).await
    }
}

impl Function for Erase {
    async fn answer(&self, request: &Request) -> Reply {
        Self::answer(self, request).await
    }
}

impl Function for UserSigs {
    async fn answer(&self, request: &Request) -> Reply {
        Self::answer(self, request).await
    }
}

impl Function for ZegoTokens {
    async fn answer(&self, request: &Request) -> Reply {
        Self::answer(self, request).await
    }
}

/// One request to `reconcile`.
#[cfg(feature = "server-api")]
#[derive(Debug)]
pub(super) struct ReconcileRequest {
    pub(super) reconcile: Reconcile,
    /// Of this request alone.
    pub(super) run_id: String,
}

#[cfg(feature = "server-api")]
impl Function for ReconcileRequest {
    async fn answer(&self, request: &Request) -> Reply {
        self.reconcile.answer(request, &self.run_id).await
    }
}

/// Serves the events that Lambda passes to a function.
pub fn service(
    function: impl Function,
) -> impl Service<
    LambdaEvent<LambdaRequest>,
    Response: Serialize + Debug + Send,
    Error = Infallible,
    Future: Send,
> {
    let function = Arc::new(function);
    let service = service_fn(move |event: lambda_http::Request| {
        let function = function.clone();
        let span = request_id(&event).map_or_else(Span::none, |id| id.span());
        async move { Ok::<Reply, Infallible>(function.answer(&request(event)).await) }
            .instrument(span)
    });
    Adapter::from(service).map_request(with_escaped_path)
}

/// Does not convert character sets, whose tables are a twentieth of a binary: all answers are
/// UTF-8.
impl IntoResponse for Reply {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        let response = Response::<String>::from(self).map(Body::from);
        Box::pin(std::future::ready(response))
    }
}

/// API Gateway passes paths decoded. A decoded path may not be a valid URI, and then `lambda_http`
/// cannot build a request.
fn with_escaped_path(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        let path = request.raw_path.take();
        request.raw_path = path.map(|path| utf8_percent_encode(&path, PATH).to_string());
    }
    event
}

/// What the gateway says of a request, beside the request itself.
fn context(request: &lambda_http::Request) -> Option<&ApiGatewayV2httpRequestContext> {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
        return None;
    };
    Some(context)
}

fn request_id(request: &lambda_http::Request) -> Option<RequestId> {
    context(request)?.request_id.clone().map(RequestId::new)
}

fn source_ip(request: &lambda_http::Request) -> Option<IpAddr> {
    context(request)?.http.source_ip.as_deref()?.parse().ok()
}

fn request(request: lambda_http::Request) -> Request {
    let source_ip = source_ip(&request);
    let path = percent_decode_str(request.raw_http_path()).decode_utf8_lossy().into_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (parts, body) = request.into_parts();
    Request {
        method: parts.method,
        path,
        query,
        headers: parts.headers,
        body: bytes(body),
        received_at: now(),
        source_ip,
    }
}

/// The body as it was sent: `lambda_http` has undone base64.
fn bytes(body: Body) -> Bytes {
    match body {
        Body::Text(text) => text.into(),
        Body::Binary(bytes) => bytes.into(),
        _ => Bytes::new(),
    }
}
