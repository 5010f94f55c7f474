"""Secrets in URLs and settings are masked; nothing else is touched."""

import pytest

from storage.credentials import mask_credentials, mask_settings


@pytest.mark.parametrize(
    "text",
    [
        "https://user:SECRET@host:8080/a.png",
        "read https://SECRET@host/a.png, then stop",
        "http://h/a.png?X-Amz-Algorithm=A&X-Amz-Signature=SECRET&X-Amz-Date=1",
        "http://h/a?X-Amz-Credential=SECRET%2F2026&X-Amz-Security-Token=SECRET#x",
        "https://h/a?se=2026&sig=SECRET%3D",
        "https://h/a?token=SECRET",
        "https://h/a?b=1&access_token=SECRET 404",
        "('https://h/a?apikey=SECRET')",
        "ftp://:SECRET@host/a",
        "s3://bucket/a?awsaccesskeyid=SECRET",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    masked = mask_credentials(text)
    assert "SECRET" not in masked
    assert "***" in masked
    assert mask_credentials(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "/data/pano@home/a b.png",
        "file:///data/me@host/x:y@z.png",
        "s3://bucket/deep/a.png",
        "abfs://container@account.dfs.core.windows.net/a",
        "https://host/a?page=2&width=100",
        "memory://x",
        "user:name@example.org",
        "",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert mask_credentials(text) == text


def test_settings_are_masked_by_the_names_of_their_keys() -> None:
    settings = {"token": "SECRET", "tokenizer": "bert", "aws_secret_access_key": "SECRET", "deep": [{"url": "http://a:SECRET@b"}]}
    assert mask_settings(settings) == {
        "token": "***",
        "tokenizer": "bert",
        "aws_secret_access_key": "***",
        "deep": [{"url": "http://***@b"}],
    }
