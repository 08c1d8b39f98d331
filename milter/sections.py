"""The sections of the settings: each setting once, with its default, its unit and its reason.

The checks sit in the types (``milter.checks``).
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import attrs

from milter.checks import (
    Arrangement,
    Count,
    LogLevel,
    ModelsFolder,
    Nameservers,
    Network,
    NextHopEndpoint,
    NextHopTlsMode,
    Octets,
    OptionalEndpoint,
    OptionalFile,
    OptionalMailbox,
    PageUrl,
    Seconds,
    Senders,
    Share,
    StrayLineEnds,
    Wish,
    Wishes,
)
from milter.settings_file import setting
from milter.smtp.endpoint import Endpoint

#: The bundles that came with the filter.
SHIPPED_MODELS = Path(__file__).resolve().parent.parent / "models"
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@attrs.frozen
class Filter:
    """Where mail comes from and where it goes."""

    listen: Endpoint = setting(
        Endpoint.parse("127.0.0.1:10025"),
        "Where Postfix finds the filter: HOST:PORT, [IPV6]:PORT or unix:PATH. "
        "Keep it off the network: whoever reaches it can send mail past Postfix's own checks.",
    )
    next_hop: NextHopEndpoint = setting(
        "",
        "Where judged mail goes on to: the listener behind the filter, usually 127.0.0.1:10026. "
        "lmtp:HOST:PORT or lmtp:unix:PATH where LMTP is spoken there. "
        "Empty: mail is stored in the Maildir below, to try the filter with no mail server.",
    )
    maildir: Path = setting(
        Path("var/mail"), "The Maildir for judged mail where there is no next hop."
    )
    arrangement: Arrangement = setting(
        "before-queue",
        'How Postfix calls: "before-queue" (smtpd_proxy_filter; one mail a connection, and a mail '
        'with octets behind its end is refused) or "after-queue" (content_filter; several mails a '
        "connection, sent ahead). With no next hop sessions are as after the queue.",
    )
    workers: Count = setting(
        1, "Processes that judge mail; as many as there are processors for a busy server."
    )
    hostname: str = setting(
        "", "The name in the greeting and in EHLO. Empty: this machine's own name."
    )
    xforward_peers: tuple[Network, ...] = setting(
        _LOOPBACK,
        "Who may tell the remote client's name and address with XFORWARD. They end up in logs "
        "only, but nobody else should be able to write there.",
    )
    stray_line_ends: StrayLineEnds = setting(
        "blank",
        'A CR, LF or NUL that ends no line: "blank" replaces it as Postfix does '
        '(cleanup_replace_stray_cr_lf), "reject" refuses the mail with 550 5.5.2.',
    )


@attrs.frozen
class Limits:
    """Bounds. Their sum stays under the 100 s that Postfix waits (smtpd_proxy_timeout)."""

    message_size: Octets = setting(
        52428800,
        "Octets of the largest mail taken; larger ones get 452. "
        "Not smaller than Postfix's message_size_limit (10240000 by default).",
    )
    memory: Octets = setting(
        262144,
        "Octets of a mail that are held in memory; a larger one waits in a nameless file in the "
        "system's temporary folder (TMPDIR). Times sessions, this bounds what mails can take.",
    )
    sessions: Count = setting(
        200,
        "Connections at a time; more get 421 at once. Postfix's process limit (20 in the sample) "
        "bounds them first.",
    )
    errors: Count = setting(
        20, "Refused commands before a session is ended (Postfix: smtpd_hard_error_limit, 20)."
    )
    commands: Count = setting(
        5000,
        "Commands since the last mail before a session is ended: more than the 1000 recipients "
        "that Postfix takes for one (smtpd_recipient_limit), far less than a flood of RSET.",
    )
    idle: Seconds = setting(
        300.0, "Seconds that a sender may be silent (RFC 5321 4.5.3.2.7 asks for 5 minutes)."
    )
    connect: Seconds = setting(
        5.0, "Seconds to reach the next hop and be greeted; nearby, what takes longer is down."
    )
    reply: Seconds = setting(30.0, "Seconds for the next hop's reply to a command.")
    final: Seconds = setting(
        60.0, "Seconds for the next hop's reply to the final dot: its milters and fsync run there."
    )
    total: Seconds = setting(
        90.0, "Seconds from DATA to the final reply, all in all; must stay under Postfix's 100."
    )
    judging: Seconds = setting(
        2.0,
        "Seconds of judging after which a mail goes on unscored. Usual mails need a thousandth; "
        "all others wait meanwhile, so keep it short.",
    )
    drain: Seconds = setting(
        30.0, "Seconds that mails under way may take to finish when the filter is stopped."
    )


@attrs.frozen
class Model:
    """The model bundle."""

    folder: ModelsFolder = setting(
        SHIPPED_MODELS,
        "The folder of the bundles. Default: the one that came with the filter.",
        '# folder = "models"',
    )
    version: str = setting(
        "current",
        'Which bundle: its version, or "current" for the one published last. Old bundles are '
        'removed in time: for one that is named here put a file "keep" into its folder.',
    )


@attrs.frozen
class Header:
    """What is written into a mail."""

    clues: bool = setting(
        True, "Whether X-Coop-Clues names the words that weighed most, beside X-Coop-Verdict."
    )


@attrs.frozen
class Policy:
    """What becomes of a judged mail. Without any of this it is tagged and goes on."""

    default: Wish = setting(
        "tag",
        'For recipients who are not named below: "tag" writes X-Coop-Verdict, "tag-subject" also '
        'puts subject_prefix before the subject of a fake, "quarantine" holds a fake back for its '
        'recipient to look at and tags all else, "nothing" leaves the mail as it is (forged fields '
        "of ours are taken out all the same). Holding back a mail that its recipient has not asked "
        "to be held may be an offence (in Germany: StGB 206, 303a).",
    )
    recipients: Wishes = setting(
        {},
        "The same by recipient or domain, the address before its domain: "
        '{ "anna@example.org" = "quarantine", "example.net" = "nothing" }.',
    )
    subject_prefix: str = setting(
        "[Fake cooperation?] ",
        'What "tag-subject" puts before the subject. It breaks DKIM signatures: whoever checks '
        "them behind the filter will find them broken.",
    )
    shadow: bool = setting(
        False,
        "Judge and record, change nothing: coop-verdict shadow-report tells what would have been.",
    )
    budget: Share = setting(
        0.001,
        "The share of wanted mail that may be called fake before anything is held back. Quarantine "
        "is armed only when it was measured, with 95 % confidence, that the model in use keeps it "
        "(coop-verdict evidence); until then, what would be held is tagged.",
    )
    force_quarantine: bool = setting(False, "Hold mail back with less evidence than that.")


@attrs.frozen
class Trust:
    """Whom one knows. A list of senders holds addresses, and domains with all below them."""

    allowed: Senders = setting(
        (),
        "Senders whose mail is not judged, if an aligned DKIM signature shows that it is theirs.",
    )
    refused: Senders = setting((), "Senders whose mail is fake, whatever it says.")
    nameservers: Nameservers = setting(
        (), 'Who is asked for DKIM keys, such as "127.0.0.1:53". Empty: as in /etc/resolv.conf.'
    )
    dns_deadline: Seconds = setting(
        3.0, "Seconds for all questions about one mail; without an answer nothing is known of it."
    )
    authserv_id: str = setting(
        "",
        "After the queue: the authserv-id of Authentication-Results fields that Postfix's own "
        "milters write (RFC 8601), if these are asked for every mail (milter_default_action other "
        "than accept). Empty: none is believed. In front of the queue none can be.",
    )
    threads: bool = setting(
        True, "Whether a follow-up has the verdict of the fake that it chases up."
    )
    folder: Path = setting(
        Path("var/state"),
        "Where known correspondents and threads are kept, as keyed digests of their addresses and "
        "Message-IDs.",
    )
    outgoing: OptionalEndpoint = setting(
        "",
        "A second listener, for outgoing mail: whom one writes to is a known correspondent, whose "
        "mail is not called fake. One circle for all who share the filter. Such mail is handed on "
        "as it is. Empty: none.",
    )
    outgoing_next_hop: NextHopEndpoint = setting(
        "", "Where outgoing mail goes on to. Empty: where judged mail does."
    )


@attrs.frozen
class Quarantine:
    """Where mail is held back, a Maildir for each recipient."""

    folder: Path = setting(
        Path("var/quarantine"), "The folder of these Maildirs. Give the whole path."
    )
    days: Count = setting(30, "Days after which held mail is deleted.")
    group: str = setting(
        "",
        "A group that may read and move held mail (Dovecot's, where it shows the quarantine as a "
        "mail folder). Empty: nobody but the filter's user.",
    )


@attrs.frozen
class Review:
    """The page on which held mail is looked at (coop-verdict review)."""

    listen: Endpoint = setting(
        Endpoint.parse("127.0.0.1:10090"),
        "Where a browser finds it. Off this machine only behind a web server that speaks TLS.",
    )
    url: PageUrl = setting(
        "",
        "Its address as recipients see it, such as https://mail.example.org/review: for the links "
        "of the digest, and where a web server stands before it. Empty: http://LISTEN.",
    )
    state: Path = setting(Path("var/review"), "Where the page keeps who may log in, and its keys.")
    feedback: Path = setting(
        Path("var/feedback"), "The feedback folder that its buttons write to, and retraining reads."
    )
    session: Seconds = setting(28800.0, "Seconds after which one has to log in again.")


@attrs.frozen
class Digest:
    """A mail a day to each recipient of whom mail was held (coop-verdict digest, by a timer)."""

    enabled: bool = setting(False, "Whether coop-verdict digest sends any.")
    sender: OptionalMailbox = setting(
        "", "The address in From. Empty: coop-verdict@ and the filter's hostname."
    )
    link_days: Count = setting(7, "Days for which its release links hold.")


@attrs.frozen
class Journal:
    """The index of what was seen: verdict and score a mail, so that corrections can be traced."""

    enabled: bool = setting(
        True,
        "Whether to keep it. A line holds keyed digests in place of Message-ID and body: no "
        "content, no address.",
    )
    folder: Path = setting(
        Path("var/state"),
        "Where it is kept, with its key. Give the whole path, so that coop-verdict why finds it "
        "from anywhere.",
    )
    size: Octets = setting(
        67108864,
        "Octets that it may take: 300 a mail, so 200000 mails. The older half goes when it is "
        "full.",
    )


@attrs.frozen
class Metrics:
    """Numbers for Prometheus: mails by verdict, replies, times, sessions, of all workers."""

    listen: OptionalEndpoint = setting(
        "",
        "Where they are asked for (GET /metrics over HTTP), such as 127.0.0.1:9125. They name "
        "nobody and no mail, but tell whoever reaches them how much comes in and what is held. "
        "Empty: nowhere, and nothing is counted.",
    )


@attrs.frozen
class Tls:
    """TLS, for hops that are not on one machine. On loopback it protects nothing."""

    certificate: OptionalFile = setting(
        "", "The filter's certificate chain (PEM). With it, STARTTLS is offered to senders."
    )
    key: OptionalFile = setting("", "Its private key (PEM). Empty: in the certificate's file.")
    required: bool = setting(False, "Whether senders must use STARTTLS.")
    next_hop: NextHopTlsMode = setting(
        "off",
        '"required": mail goes on through STARTTLS only, to a next hop whose certificate holds; '
        '"off": in plain text.',
    )
    next_hop_name: str = setting(
        "", "The name in the next hop's certificate. Empty: the host under [filter] next_hop."
    )
    next_hop_ca: OptionalFile = setting(
        "", "Certificates (PEM) that the next hop's is checked against. Empty: the system's."
    )


@attrs.frozen
class Log:
    """The log, on standard error. It names no subject, no text and no full address."""

    level: LogLevel = setting("info", '"debug", "info" (a line a mail), "warning" or "error".')
