"""What the emulator decides about personalization where the pages show no answer."""

from __future__ import annotations

from emulator_caller import Caller


def test_pages_of_the_named_accounts_are_suggested_first() -> None:
    """Each of several accounts counts, by its name or its domain, in any case; without any the newest comes first."""
    call = Caller()
    for name in ("Notion", "Klaviyo", "Linear"):
        call.today += 1
        call.done(
            "POST personalization/campaigns",
            strategy="accounts",
            page_urls=["https://a.example/", f"https://{name.lower()}.example/"],
            accounts=[{"name": name, "domain": f"{name}.com"}],
        )

    def suggested(query: str = "") -> list[str]:
        pages = call.done(f"GET personalization/suggested-pages{query}")["pages"]
        return [page["url"].removeprefix("https://").partition(".")[0] for page in pages]

    assert suggested() == suggested("?account=Unknown") == ["a", "linear", "klaviyo", "notion"]
    assert suggested("?account=notion&account=KLAVIYO.com") == ["a", "klaviyo", "notion", "linear"]
    assert suggested("?account=Klaviyo&account=notion.com") == ["a", "klaviyo", "notion", "linear"]
    assert suggested("?account=notion") == ["a", "notion", "linear", "klaviyo"]
