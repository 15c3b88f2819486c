"""The PyPI clients of OpenAI and Replicate, as they are: `python python.py <openai|replicate> <call>`, with DARKROOM_URL and DARKROOM_API_KEY."""

import base64
import os
import sys
import urllib.request

url, key = os.environ["DARKROOM_URL"], os.environ["DARKROOM_API_KEY"]
prompt = "a red sphere"


def expect_png(data: bytes) -> None:
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]


def fetch(address: str) -> bytes:
    return urllib.request.urlopen(address).read()


def openai_calls():
    from openai import AuthenticationError, BadRequestError, OpenAI

    client = OpenAI(base_url=f"{url}/openai/v1", api_key=key)

    def by_url():
        expect_png(fetch(client.images.generate(model="scenes", prompt=prompt, size="128x128").data[0].url))

    def as_bytes():
        expect_png(base64.b64decode(client.images.generate(model="gpt-image-1", prompt=prompt).data[0].b64_json))

    def seeded():
        draw = lambda: client.images.generate(model="scenes", prompt=prompt, n=2, response_format="b64_json", extra_body={"seed": 7, "steps": 4})
        first, again = draw().data, draw().data
        assert len(first) == 2 and [p.b64_json for p in first] == [p.b64_json for p in again]

    def stream():
        body = {"steps": 100, "width": 256, "height": 256}
        events = client.images.generate(model="scenes", prompt=prompt, stream=True, partial_images=2, extra_body=body)
        types = [event.type for event in events]
        assert types == ["image_generation.partial_image"] * 2 + ["image_generation.completed"], types

    def models():
        assert "scenes" in [model.id for model in client.models.list()]

    def refused():
        try:
            client.images.generate(model="scenes", prompt=prompt, n=99)
            raise AssertionError("accepted")
        except BadRequestError as error:
            assert error.param == "n"

    def wrong_key():
        try:
            OpenAI(base_url=f"{url}/openai/v1", api_key="sk-nothing").images.generate(prompt=prompt)
            raise AssertionError("accepted")
        except AuthenticationError:
            pass

    return {
        "a picture by URL": by_url,
        "a picture as bytes": as_bytes,
        "several pictures, seeded": seeded,
        "as it develops (stream)": stream,
        "models": models,
        "what is wrong with a request": refused,
        "a wrong key": wrong_key,
    }


def replicate_calls():
    from replicate.client import Client
    from replicate.exceptions import ReplicateError

    # Without /v1, which its routes begin with.
    open_client = lambda token: Client(api_token=token, base_url=f"{url}/replicate")
    client = open_client(key)
    model = "darkroom/scenes"
    long = {"prompt": prompt, "steps": 100, "count": 4}

    def as_bytes():
        expect_png(client.run(model, input={"prompt": prompt})[0].read())

    def by_url():
        expect_png(fetch(client.run(model, input={"prompt": prompt}, use_file_output=False)[0]))

    def late():
        assert len(client.run(model, input=long, wait=1)) == 4

    def polled():
        prediction = client.models.predictions.create(model, input={"prompt": prompt})
        prediction.wait()
        assert prediction.status == "succeeded" and prediction.progress.percentage == 1

    def stream():
        events = [event.event.value for event in client.stream(model, input={"prompt": prompt, "steps": 50})]
        assert events[-2:] == ["output", "done"], events

    def canceled():
        prediction = client.models.predictions.create(model, input=long)
        prediction.cancel()
        prediction.wait()
        assert prediction.status == "canceled"

    def listed():
        made = client.models.predictions.create(model, input={"prompt": prompt, "steps": 1})
        assert made.id in [prediction.id for prediction in client.predictions.list()]

    def models():
        assert "scenes" in [found.name for found in client.models.list()]

    def refused():
        try:
            client.run(model, input={"prompt": prompt, "num_outputs": 99})
            raise AssertionError("accepted")
        except ReplicateError as error:
            assert error.status == 422 and "at most 8" in error.detail

    def wrong_key():
        try:
            open_client("r8_nothing").run(model, input={"prompt": prompt})
            raise AssertionError("accepted")
        except ReplicateError as error:
            assert error.status == 401

    return {
        "a picture by URL": by_url,
        "a picture as bytes": as_bytes,
        "as it develops (stream)": stream,
        "waiting times out, then polling": late,
        "polling from the start": polled,
        "cancel while it runs": canceled,
        "list": listed,
        "models": models,
        "what is wrong with a request": refused,
        "a wrong key": wrong_key,
    }


calls = {"openai": openai_calls, "replicate": replicate_calls}[sys.argv[1]]()
if len(sys.argv) == 2:
    print("\n".join(calls))
else:
    calls[sys.argv[2]]()
