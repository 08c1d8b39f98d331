#!/bin/sh
# Postfix with several filter hosts: what differs from the files of ../postfix for one arrangement,
# which are to be in place before. Run it once as root:
#     sh postfix.sh before-queue    (or after-queue)
#     postfix check && postfix reload
set -eu

postfix=10.25.0.1              # this machine, on the inner network
balancer=10.25.0.2             # HAProxy (before the queue)
filters=filters.example.org    # a name with the addresses of all filter hosts (after the queue)
hosts=10.25.0.11/32,10.25.0.12/32,10.25.0.13/32    # who hands judged mail back

case "${1-}" in
before-queue)
    # 20 mails at a time for each of three hosts; where one is left, it gets them all.
    postconf -P "smtp/inet/smtpd_proxy_filter=$balancer:10025"
    postconf -F smtp/inet/process_limit=60
    ;;
after-queue)
    # Postfix takes the addresses of the name in random order (smtp_randomize_addresses), and the
    # next one where one does not answer. MX records instead (then without the brackets) allow for
    # hosts that are called only when others fail. A list of hosts, separated by commas, is called
    # in its order: then the first has all the work.
    postconf -e "content_filter=coop:[$filters]:10025"
    # All of them are one destination to Postfix: 10 mails at a time for each of three hosts.
    postconf -e coop_destination_concurrency_limit=30
    postconf -F coop/unix/process_limit=30
    # On one network; what takes longer is down (30 s by default).
    postconf -P coop/unix/smtp_connect_timeout=2s
    # A connection that is kept keeps mail at one host, and is waited for when that has vanished.
    postconf -P coop/unix/smtp_connection_cache_on_demand=no
    ;;
*)
    echo "usage: sh postfix.sh before-queue|after-queue" >&2
    exit 2
    ;;
esac

# The listener behind the filters moves to the inner network, and knows nobody but the filter hosts:
# whoever else comes there is told "Relay access denied" and may say nothing of remote clients.
listener=127.0.0.1:10026/inet
postconf -P "$listener/mynetworks=$hosts"
postconf -P "$listener/smtpd_authorized_xforward_hosts=$hosts"
# A host that has vanished leaves its sessions behind; this ends them before the usual 300 s.
postconf -P "$listener/smtpd_timeout=100s"
postconf -F "$listener/service=$postfix:10026"
