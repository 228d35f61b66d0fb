"""read_events.py FOLDER: what TensorBoard reads from the event files of a folder, as JSON.

Scalars are [step, value] by tag, pictures [step, width, height, bytes].
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# Zero of a kind is all of it.
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0})
events.Reload()
tags = events.Tags()


def picture(event):
    assert event.encoded_image_string.startswith(b"\x89PNG\r\n\x1a\n"), "a picture is no PNG"
    # Width, height and colour type stand at fixed places of a PNG's first chunk.
    width, height = (int.from_bytes(event.encoded_image_string[at:at + 4], "big") for at in (16, 20))
    assert (event.width, event.height) == (width, height), "the event has another size than the picture"
    return [event.step, width, height, len(event.encoded_image_string)]


print(json.dumps({
    "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
    "pictures": {tag: [picture(e) for e in events.Images(tag)] for tag in tags["images"]},
}))
