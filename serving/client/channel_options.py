"""Options of every channel to a server."""

from serving.client.call_policy import FIRST_BACKOFF_SECONDS

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


def channel_options(max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> list[tuple[str, int]]:
    """Options for `grpc.insecure_channel` and `grpc.aio.insecure_channel`.

    Args:
      max_message_bytes: largest request and response, bytes; gRPC's own limit for responses is 4 MiB.
    """
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # A channel that lost its server fails every call until it tries to connect again, by default after 1 s and more.
        ("grpc.initial_reconnect_backoff_ms", int(FIRST_BACKOFF_SECONDS * 1000)),
        ("grpc.min_reconnect_backoff_ms", int(FIRST_BACKOFF_SECONDS * 1000)),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
