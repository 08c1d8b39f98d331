# Files fake-cooperation pitches into a folder of their own. Everything else stays in the inbox.
# The filter removes every X-Coop-Verdict that comes from outside, so this one can be trusted.
# Not into a feedback folder (fake, Fake-Kooperation ...): what the filter says itself is no correction.
require ["fileinto", "mailbox"];

if anyof (header :is "X-Coop-Verdict" "fake", header :matches "X-Coop-Verdict" "fake;*") {
    fileinto :create "Pitches";
}
