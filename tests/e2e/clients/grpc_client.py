"""grpcio: calls one method and prints one JSON line.

usage: python grpc_client.py TARGET /SERVICE/METHOD MESSAGE...
X402_PAYMENT is sent as the metadata `payment-signature`; X402_ROOTS is a PEM file to trust. A method
whose name is Converse is sent each message once the answer to the one before it is there.
"""

import json
import os
import queue
import sys
from pathlib import Path

import grpc

target, method, *messages = sys.argv[1:]
messages = [message.encode() for message in messages]
payment = os.environ.get("X402_PAYMENT")
metadata = (("payment-signature", payment),) if payment else ()
if roots := os.environ.get("X402_ROOTS"):
    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(Path(roots).read_bytes()))
else:
    channel = grpc.insecure_channel(target)


def converse(call):
    asked = queue.SimpleQueue()
    answers = call(iter(asked.get, None), metadata=metadata, timeout=TIMEOUT_SECONDS)
    for message in messages:
        asked.put(message)
        yield answers, next(answers)
    asked.put(None)
    yield from ((answers, answer) for answer in answers)


def call():
    match method.rpartition("/")[2]:
        case "Converse":
            yield from converse(channel.stream_stream(method))
        case "Count" | "BreakOff":
            answers = channel.unary_stream(method)(messages[0], metadata=metadata, timeout=TIMEOUT_SECONDS)
            yield from ((answers, answer) for answer in answers)
        case _:
            answer, answers = channel.unary_unary(method).with_call(
                messages[0], metadata=metadata, timeout=TIMEOUT_SECONDS
            )
            yield answers, answer


TIMEOUT_SECONDS = 30
told, about, fault = [], None, None
try:
    for about, answer in call():
        told.append(answer.decode())
except grpc.RpcError as error:
    about = fault = error
text = lambda pairs: {key: value for key, value in pairs or () if isinstance(value, str)}
print(json.dumps({
    "code": about.code().name,
    "message": about.details(),
    "answers": told,
    "head": text(about.initial_metadata()),
    "trailers": text(about.trailing_metadata()),
}))
