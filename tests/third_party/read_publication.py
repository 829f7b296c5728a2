"""Reads a publication with nothing of truyvet's: Python's protobuf, zipfile and json.

    python read_publication.py FOLDER

Prints, as JSON, what is in each package that the index names, and fails if its bytes are not those that the index
names. The schema is written out here, after the description of the format (Exposure Key Export File Format v1),
and not generated from anybody's file.
"""

import hashlib
import json
import pathlib
import sys
import zipfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto
OPTIONAL, REPEATED = F.LABEL_OPTIONAL, F.LABEL_REPEATED

# name, number, type, label; a type that is text is a message's.
SCHEMA = {
    "SignatureInfo": [
        ("verification_key_version", 3, F.TYPE_STRING, OPTIONAL),
        ("verification_key_id", 4, F.TYPE_STRING, OPTIONAL),
        ("signature_algorithm", 5, F.TYPE_STRING, OPTIONAL),
    ],
    "TemporaryExposureKey": [
        ("key_data", 1, F.TYPE_BYTES, OPTIONAL),
        ("transmission_risk_level", 2, F.TYPE_INT32, OPTIONAL),
        ("rolling_start_interval_number", 3, F.TYPE_INT32, OPTIONAL),
        ("rolling_period", 4, F.TYPE_INT32, OPTIONAL),
        ("report_type", 5, F.TYPE_INT32, OPTIONAL),
        ("days_since_onset_of_symptoms", 6, F.TYPE_SINT32, OPTIONAL),
    ],
    "TemporaryExposureKeyExport": [
        ("start_timestamp", 1, F.TYPE_FIXED64, OPTIONAL),
        ("end_timestamp", 2, F.TYPE_FIXED64, OPTIONAL),
        ("region", 3, F.TYPE_STRING, OPTIONAL),
        ("batch_num", 4, F.TYPE_INT32, OPTIONAL),
        ("batch_size", 5, F.TYPE_INT32, OPTIONAL),
        ("signature_infos", 6, "SignatureInfo", REPEATED),
        ("keys", 7, "TemporaryExposureKey", REPEATED),
        ("revised_keys", 8, "TemporaryExposureKey", REPEATED),
    ],
    "TEKSignature": [
        ("signature_info", 1, "SignatureInfo", OPTIONAL),
        ("batch_num", 2, F.TYPE_INT32, OPTIONAL),
        ("batch_size", 3, F.TYPE_INT32, OPTIONAL),
        ("signature", 4, F.TYPE_BYTES, OPTIONAL),
    ],
    "TEKSignatureList": [("signatures", 1, "TEKSignature", REPEATED)],
}


def messages():
    """The classes of the schema's messages, by name."""
    file = descriptor_pb2.FileDescriptorProto(name="export.proto", package="export", syntax="proto2")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = F.TYPE_MESSAGE, f".export.{kind}"
            else:
                added.type = kind
            if (name, field) == ("TemporaryExposureKey", "rolling_period"):
                added.default_value = "144"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"export.{name}")) for name in SCHEMA}


def unknown_fields(message):
    """Whether anything in it is not in the schema."""
    from google.protobuf import unknown_fields as unknown

    inner = [m for f, v in message.ListFields() if f.message_type for m in (v if is_list(v) else [v])]
    return len(unknown.UnknownFieldSet(message)) > 0 or any(unknown_fields(m) for m in inner)


def is_list(value):
    return not hasattr(value, "ListFields")


def keys_of(listed):
    return [
        {
            "key": key.key_data.hex(),
            "start": key.rolling_start_interval_number,
            "period": key.rolling_period,
            "risk": key.transmission_risk_level,
            "report_type": key.report_type,
            "days": key.days_since_onset_of_symptoms if key.HasField("days_since_onset_of_symptoms") else None,
        }
        for key in listed
    ]


def read_export(path, classes):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None, "a CRC is wrong"
        contents, signatures = archive.read("export.bin"), archive.read("export.sig")
    assert contents[:16] == b"EK Export v1    ", "the header"
    export = classes["TemporaryExposureKeyExport"].FromString(contents[16:])
    signed = classes["TEKSignatureList"].FromString(signatures)
    assert not unknown_fields(export) and not unknown_fields(signed), "unknown fields"
    assert len(signed.signatures) == len(export.signature_infos), "a signature for each of the infos"
    bytes_of = [key.key_data for key in export.keys]
    assert bytes_of == sorted(set(bytes_of)), "keys in order, each once"
    return {
        "start": export.start_timestamp,
        "end": export.end_timestamp,
        "region": export.region,
        "batch": [export.batch_num, export.batch_size],
        "signed_by": [info.verification_key_id for info in export.signature_infos],
        "keys": keys_of(export.keys),
        "revised_keys": keys_of(export.revised_keys),
    }


def main(folder):
    classes = messages()
    with open(folder / "index.json", encoding="utf-8") as file:
        index, signatures = json.loads(file.readline()), json.loads(file.readline())
    assert signatures["signatures"], "a signature"
    packages = {}
    for package in index["packages"]:
        path = folder / package["name"]
        contents = path.read_bytes()
        assert len(contents) == package["bytes"], f"{path}: its length"
        assert hashlib.sha256(contents).hexdigest() == package["sha256"], f"{path}: its hash"
        if package["protocol"] == "gaen":
            packages[package["name"]] = read_export(path, classes)
        else:
            packages[package["name"]] = json.loads(contents)
    json.dump({"index": index, "packages": packages}, sys.stdout)


main(pathlib.Path(sys.argv[1]))
