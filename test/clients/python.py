"""The PyPI clients as they are: `python python.py <openai|replicate|fal-client|litellm> <call>`, with DARKROOM_URL and DARKROOM_API_KEY."""

import base64
import http.server
import io
import json
import os
import struct
import sys
import threading
import urllib.request
import zlib

url, key = os.environ["DARKROOM_URL"], os.environ["DARKROOM_API_KEY"]
prompt = "a red sphere"


def expect_png(data: bytes) -> None:
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]


def fetch(address: str) -> bytes:
    return urllib.request.urlopen(address).read()


def post(path: str, body: dict) -> dict:
    """What our own API answers."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return json.load(urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode(), headers)))


def occupy():
    """Orders as much as the key may have in flight, of a model that no node of the stack serves; what ends it."""
    order = {"model": "scenes-unconditional", "count": 2}
    generation = post("/v1/generations", order)["id"]
    return lambda: post(f"/v1/generations/{generation}/cancel", {})


def drawing(alpha: int = 255) -> io.BytesIO:
    """A PNG whose lower half has an alpha of `alpha`."""
    side = 128
    rows = [b"\0" + bytes((0, 0, 255, 255 if y < side // 2 else alpha)) * side for y in range(side)]
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n" + parts)
    file.name = "image.png"
    return file


class Mailbox:
    """A receiver of letters, on this machine."""

    def __init__(self):
        letters, arrived = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                letters.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"])).decode()))
                self.send_response(204)
                self.end_headers()
                arrived.set()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}/"
        self._letters, self._arrived = letters, arrived

    def letter(self):
        assert self._arrived.wait(30)
        return self._letters[0]


def openai_calls():
    from openai import AuthenticationError, AzureOpenAI, BadRequestError, DefaultHttpxClient, InvalidWebhookSignatureError, NotFoundError, OpenAI

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

    def as_from_azure():
        for more in {}, {"azure_deployment": "scenes"}:
            azure = AzureOpenAI(azure_endpoint=url, api_key=key, api_version="2024-10-21", **more)
            for answer in (
                azure.images.generate(model="scenes", prompt=prompt),
                azure.images.edit(model="scenes", prompt=prompt, image=drawing()),
            ):
                expect_png(base64.b64decode(answer.data[0].b64_json))
            assert "scenes" in [model.id for model in azure.models.list()]

    def edited():
        varied = client.images.create_variation(model="scenes", image=drawing(), response_format="b64_json")
        expect_png(base64.b64decode(varied.data[0].b64_json))
        body = {"model": "scenes", "prompt": prompt, "n": 2, "response_format": "b64_json"}
        edited = client.images.edit(image=[drawing()], mask=drawing(alpha=0), **body)
        assert len(edited.data) == 2

    def files():
        made = client.files.create(file=("a blue half.png", drawing()), purpose="vision")
        assert client.files.retrieve(made.id).filename == "a blue half.png"
        expect_png(client.files.content(made.id).read())
        later = client.files.create(file=("b.png", drawing()), purpose="user_data")
        assert [file.id for file in client.files.list(limit=1)] == [later.id, made.id]
        assert client.files.delete(made.id).deleted
        try:
            client.files.retrieve(made.id)
            raise AssertionError("still there")
        except NotFoundError:
            pass

    def webhook():
        mailbox = Mailbox()
        client.images.generate(model="scenes", prompt=prompt, extra_body={"webhook": mailbox.url, "steps": 2})
        headers, body = mailbox.letter()
        secret = client.get(f"{url}/v1/webhooks/secret", cast_to=object)["secret"]
        assert client.webhooks.unwrap(body, headers, secret=secret).type == "generation.completed"
        try:
            client.webhooks.unwrap(body + " ", headers, secret=secret)
            raise AssertionError("accepted")
        except InvalidWebhookSignatureError:
            pass

    def throttled():
        leave, statuses = occupy(), []

        def heard(answer):
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                leave()

        impatient = OpenAI(base_url=f"{url}/openai/v1", api_key=key, http_client=DefaultHttpxClient(event_hooks={"response": [heard]}))
        assert len(impatient.images.generate(model="scenes", prompt=prompt).data) == 1
        assert statuses == [429, 200], statuses

    def models():
        assert "scenes" in [model.id for model in client.models.list()]

    def refused():
        try:
            client.images.generate(model="scenes", prompt=prompt, n=99)
            raise AssertionError("accepted")
        except BadRequestError as error:
            assert error.param == "n"
        try:
            client.moderations.create(input=prompt)
            raise AssertionError("found")
        except NotFoundError as error:
            assert error.type == "invalid_request_error"

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
        "an image to start from, as a file": edited,
        "files: list, look at, remove": files,
        "a webhook, verified by the client": webhook,
        "models": models,
        "as from Azure": as_from_azure,
        "what is wrong with a request": refused,
        "too many requests": throttled,
        "a wrong key": wrong_key,
    }


def replicate_calls():
    from replicate.client import Client
    from replicate.exceptions import ReplicateError
    from replicate.webhook import InvalidSignatureError, Webhooks

    # Without /v1, which its routes begin with.
    open_client = lambda token: Client(api_token=token, base_url=f"{url}/replicate")
    client = open_client(key)
    model = "darkroom/scenes"
    long = {"prompt": prompt, "steps": 100, "count": 2}

    def as_bytes():
        expect_png(client.run(model, input={"prompt": prompt})[0].read())

    def by_url():
        expect_png(fetch(client.run(model, input={"prompt": prompt}, use_file_output=False)[0]))

    def late():
        assert len(client.run(model, input=long, wait=1)) == 2

    def polled():
        prediction = client.models.predictions.create(model, input={"prompt": prompt})
        prediction.wait()
        assert prediction.status == "succeeded" and prediction.progress.percentage == 1

    def stream():
        events = [event.event.value for event in client.stream(model, input={"prompt": prompt, "steps": 50})]
        assert events[-2:] == ["output", "done"], events

    def seeded():
        body = {"prompt": prompt, "num_outputs": 2, "seed": 7, "num_inference_steps": 4}
        # By its version, too.
        version = client.models.get(model).latest_version.id
        draw = lambda: [output.read() for output in client.run(f"{model}:{version}", input=body)]
        first, again = draw(), draw()
        assert len(first) == 2 and first == again

    def started():
        body = {"prompt": prompt, "image": drawing(), "mask": drawing(alpha=0), "steps": 4}
        expect_png(client.run(model, input=body)[0].read())

    def files():
        made = client.files.create(drawing(), filename="a blue half.png", content_type="image/png", metadata={"seen": "from above"})
        assert client.files.get(made.id) == made and made.metadata == {"seen": "from above"}
        assert client.files.list() == [made]
        assert client.files.delete(made.id)
        try:
            client.files.get(made.id)
            raise AssertionError("still there")
        except ReplicateError as error:
            assert error.status == 404

    def webhook():
        mailbox = Mailbox()
        created = client.models.predictions.create(
            model, input={"prompt": prompt, "steps": 2}, webhook=mailbox.url, webhook_events_filter=["completed"]
        )
        headers, body = mailbox.letter()
        assert json.loads(body)["id"] == created.id
        secret = client.webhooks.default.secret()
        Webhooks.validate(headers=headers, body=body, secret=secret, tolerance=300)
        try:
            Webhooks.validate(headers=headers, body=body + " ", secret=secret)
            raise AssertionError("accepted")
        except InvalidSignatureError:
            pass

    def account():
        assert client.accounts.current().username.startswith("client-")

    def throttled():
        # It repeats no POST by itself, and leaves that to its caller.
        leave = occupy()
        create = lambda: client.models.predictions.create(model, input={"prompt": prompt, "steps": 1})
        try:
            create()
            raise AssertionError("accepted")
        except ReplicateError as error:
            assert error.status == 429
        leave()
        prediction = create()
        prediction.wait()
        assert prediction.status == "succeeded"

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
        assert len(client.models.get(model).versions.list()[0].id) == 64
        deployment = client.deployments.get(model)
        assert deployment.name in [listed.name for listed in client.deployments.list()]
        assert deployment.predictions.create(input={"prompt": prompt, "steps": 1}).status == "starting"

    def refused():
        try:
            client.run(model, input={"prompt": prompt, "num_outputs": 99})
            raise AssertionError("accepted")
        except ReplicateError as error:
            assert error.status == 422 and "- input.num_outputs: expected at most 8" in error.detail
        for missing in (lambda: client.run("some/thing", input={}), lambda: client.predictions.get("nothing")):
            try:
                missing()
                raise AssertionError("found")
            except ReplicateError as error:
                assert error.status == 404

    def wrong_key():
        try:
            open_client("r8_nothing").run(model, input={"prompt": prompt})
            raise AssertionError("accepted")
        except ReplicateError as error:
            assert error.status == 401

    return {
        "a picture by URL": by_url,
        "a picture as bytes": as_bytes,
        "several pictures, seeded": seeded,
        "as it develops (stream)": stream,
        "waiting times out, then polling": late,
        "polling from the start": polled,
        "an image to start from, as a file": started,
        "files: list, look at, remove": files,
        "a webhook, verified by the client": webhook,
        "cancel while it runs": canceled,
        "list": listed,
        "models": models,
        "account": account,
        "what is wrong with a request": refused,
        "too many requests": throttled,
        "a wrong key": wrong_key,
    }


def fal_calls():
    # Read when it is imported. Its storage is fal's alone: https://rest.fal.ai is written into it.
    place = url.removeprefix("https://")
    os.environ.update(FAL_RUN_HOST=f"{place}/fal/run", FAL_QUEUE_RUN_HOST=f"{place}/fal/queue")
    from fal_client import Completed, FalClientHTTPError, InProgress, Queued, SyncClient, encode

    client = SyncClient(key=key)
    app = "darkroom/scenes"
    long = {"prompt": prompt, "num_inference_steps": 100, "num_images": 4}

    def by_url():
        result = client.run(app, {"prompt": prompt, "image_size": {"width": 96, "height": 128}, "num_inference_steps": 5})
        image = result["images"][0]
        assert (image["width"], image["height"]) == (96, 128)
        expect_png(fetch(image["url"]))

    def seeded():
        body = {"prompt": prompt, "num_images": 2, "seed": 7, "num_inference_steps": 4}
        draw = lambda: [fetch(image["url"]) for image in client.subscribe(app, body)["images"]]
        first, again = draw(), draw()
        assert len(first) == 2 and first == again

    def stream():
        events = list(client.stream(app, {"prompt": prompt, "num_inference_steps": 8, "partial_images": 2}))
        assert len(events) >= 3 and events[0]["images"][0]["url"].startswith("data:image/webp;")
        expect_png(fetch(events[-1]["images"][0]["url"]))

    def polled():
        handle = client.submit(app, {"prompt": prompt, "num_inference_steps": 50}, priority="low")
        states = list(handle.iter_events(with_logs=True))
        assert all(isinstance(state, (Queued, InProgress)) for state in states[:-1]) and isinstance(states[-1], Completed)
        assert states[-1].metrics["inference_time"] > 0
        assert len(client.result(app, handle.request_id)["images"]) == 1

    def started():
        image, mask = (encode(drawing(alpha).read(), "image/png") for alpha in (255, 0))
        result = client.run(app, {"prompt": prompt, "image_url": image, "mask_url": mask, "num_inference_steps": 4})
        expect_png(fetch(result["images"][0]["url"]))

    def webhook():
        mailbox = Mailbox()
        handle = client.submit(app, {"prompt": prompt, "num_inference_steps": 2}, webhook_url=mailbox.url)
        told = json.loads(mailbox.letter()[1])
        assert (told["request_id"], told["status"], len(told["payload"]["images"])) == (handle.request_id, "OK", 1)

    def canceled():
        handle = client.submit(app, long)
        handle.cancel()
        assert isinstance(handle.status(), Completed)
        try:
            handle.get()
            raise AssertionError("it has a result")
        except FalClientHTTPError as error:
            assert error.status_code == 499 and error.error_type == "client_cancelled"

    def late():
        try:
            client.subscribe("darkroom/scenes-unconditional", {}, start_timeout=1.1)
            raise AssertionError("it has a result")
        except FalClientHTTPError as error:
            assert error.status_code == 504 and error.response_headers["x-fal-request-timeout-type"] == "user"
        assert len(client.run(app, {"prompt": prompt}, start_timeout=60)["images"]) == 1

    def refused():
        try:
            client.run(app, {"prompt": prompt, "num_images": 99})
            raise AssertionError("accepted")
        except FalClientHTTPError as error:
            assert error.status_code == 422 and "at most 8" in str(error)
        try:
            client.submit("some/thing", {"prompt": prompt})
            raise AssertionError("found")
        except FalClientHTTPError as error:
            assert error.status_code == 404

    def throttled():
        leave, statuses = occupy(), []

        def heard(answer):
            statuses.append(answer.status_code)
            if statuses == [429]:
                leave()

        client._client.event_hooks = {"response": [heard]}
        assert len(client.run(app, {"prompt": prompt})["images"]) == 1
        assert statuses[0] == 429 and statuses[-1] == 200, statuses

    def wrong_key():
        try:
            SyncClient(key="nothing").run(app, {"prompt": prompt})
            raise AssertionError("accepted")
        except FalClientHTTPError as error:
            assert error.status_code == 401

    return {
        "a picture by URL": by_url,
        "several pictures, seeded": seeded,
        "as it develops (stream, in one call)": stream,
        "polling from the start": polled,
        "an image to start from, as a file": started,
        "a webhook": webhook,
        "cancel while it runs": canceled,
        "what nobody starts in time": late,
        "what is wrong with a request": refused,
        "too many requests": throttled,
        "a wrong key": wrong_key,
    }


def litellm_calls():
    # Otherwise it fetches its list of prices when it is imported.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    model = {"model": "openai/scenes", "api_base": f"{url}/openai/v1", "api_key": key}
    fal = {"model": "fal_ai/darkroom/scenes", "api_base": f"{url}/fal/run/darkroom/scenes", "api_key": key}

    def by_url():
        for at in (model, fal):
            expect_png(fetch(litellm.image_generation(prompt=prompt, **at).data[0].url))

    def as_bytes():
        answer = litellm.image_generation(prompt=prompt, **{**model, "model": "openai/gpt-image-2"})
        expect_png(base64.b64decode(answer.data[0].b64_json))

    def seeded():
        draw = lambda: litellm.image_generation(prompt=prompt, n=2, size="128x96", extra_body={"seed": 7, "steps": 4}, **model)
        first, again = draw().data, draw().data
        assert len(first) == 2 and [p.b64_json for p in first] == [p.b64_json for p in again]

    def edited():
        edited = litellm.image_edit(image=drawing(), mask=drawing(alpha=0), prompt=prompt, **model)
        expect_png(fetch(edited.data[0].url))

    def refused():
        try:
            litellm.image_generation(prompt=prompt, n=99, **model)
            raise AssertionError("accepted")
        except litellm.BadRequestError as error:
            assert "at most 8" in str(error)

    def throttled():
        # It waits for its caller, or for the router in front of it.
        leave = occupy()
        try:
            litellm.image_generation(prompt=prompt, max_retries=0, **model)
            raise AssertionError("accepted")
        except litellm.RateLimitError:
            pass
        leave()
        assert len(litellm.image_generation(prompt=prompt, **model).data) == 1

    def wrong_key():
        try:
            litellm.image_generation(prompt=prompt, **{**model, "api_key": "sk-nothing"})
            raise AssertionError("accepted")
        except litellm.AuthenticationError:
            pass

    return {
        "a picture by URL": by_url,
        "a picture as bytes": as_bytes,
        "several pictures, seeded": seeded,
        "an image to start from, as a file": edited,
        "what is wrong with a request": refused,
        "too many requests": throttled,
        "a wrong key": wrong_key,
    }


calls = {"openai": openai_calls, "replicate": replicate_calls, "fal-client": fal_calls, "litellm": litellm_calls}[sys.argv[1]]()
if len(sys.argv) == 2:
    print("\n".join(calls))
else:
    calls[sys.argv[2]]()
