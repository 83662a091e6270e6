"""grpcio: a server whose messages are bytes, so that no code is generated.

usage: python grpc_server.py
Prints "listening on 127.0.0.1:PORT".
"""

from concurrent.futures import ThreadPoolExecutor

import grpc


def say(request, context):
    told = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
    payer = told.get("x-tollgate-payer", "none")
    proof = "yes" if "payment-signature" in told else "no"
    context.set_trailing_metadata((("payer", payer), ("proof", proof), ("payment-response", "forged")))
    return b"you said " + request


def fail(request, context):
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not that")


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def break_off(request, context):
    yield b"the first"
    context.abort(grpc.StatusCode.DATA_LOSS, "the rest is gone")


def converse(requests, context):
    for request in requests:
        yield b"you said " + request


METHODS = {
    "Say": grpc.unary_unary_rpc_method_handler(say),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "BreakOff": grpc.unary_stream_rpc_method_handler(break_off),
    "Converse": grpc.stream_stream_rpc_method_handler(converse),
}

server = grpc.server(ThreadPoolExecutor(4))
for service in ("Free", "Paid"):
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, METHODS),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on 127.0.0.1:{port}", flush=True)
server.wait_for_termination()
