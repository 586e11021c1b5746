"""The stand-in for TensorFlow Serving on a machine without its binary: gRPC, REST, labels, batching."""
