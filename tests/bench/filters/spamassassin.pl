#!/usr/bin/perl
# SpamAssassin's Bayes by itself: no rules, no network.
#
#   spamassassin.pl learn FOLDER < lines "spam PATH" or "ham PATH"
#   spamassassin.pl judge FOLDER < lines "PATH"     prints "PATH PROBABILITY", a line a mail
#
# The probability is the one that BAYES_00 ... BAYES_999 are steps of; the rules would only show
# the step. A mail of which no token is known has none: 0.5, where SpamAssassin adds no points.

use strict;
use warnings;

use Mail::SpamAssassin;
use Mail::SpamAssassin::PerMsgStatus;

my ($task, $folder) = @ARGV;
$| = 1;

# From the stock rules only what the tokens rest on: ignored fields, stop words, the list of
# top-level domains. Lines of later files stand behind those of earlier ones, as SpamAssassin reads.
sub stock {
    my @lines;
    for my $name (sort glob '/usr/share/spamassassin/*.cf') {
        open my $file, '<', $name or die "$name: $!";
        push @lines, grep { /^\s*(?:bayes_ignore|bayes_stopword|util_rb_)/ } <$file>;
    }
    return join '', @lines;
}

my $spamassassin = Mail::SpamAssassin->new({
    config_text => "loadplugin Mail::SpamAssassin::Plugin::Bayes\n" . stock() . <<"END",
use_bayes 1
bayes_path $folder/bayes
bayes_min_spam_num 1
bayes_min_ham_num 1
bayes_auto_learn 0
bayes_auto_expire 0
dns_available no
END
    local_tests_only => 1,
    dont_copy_prefs => 1,
    userstate_dir => $folder,
});
$spamassassin->init(1);

sub parsed {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    my @lines = <$file>;
    return $spamassassin->parse(\@lines);
}

sub learn {
    $spamassassin->init_learner({ caller_will_untie => 1, wait_for_lock => 1 });
    while (my $line = <STDIN>) {
        chomp $line;
        my ($class, $path) = split / /, $line, 2;
        my $mail = parsed($path);
        $spamassassin->learn($mail, undef, $class eq 'spam', 0)->finish;
        $mail->finish;
    }
    $spamassassin->rebuild_learner_caches;
    $spamassassin->finish_learner;
    return;
}

# What PerMsgStatus::check does in front of the rules, then the rule's own function.
sub probability {
    my ($mail) = @_;
    my $status = Mail::SpamAssassin::PerMsgStatus->new($spamassassin, $mail);
    $mail->extract_message_metadata($status);
    $spamassassin->call_plugins('parsed_metadata', { permsgstatus => $status });
    my ($bayes) = grep { $_->isa('Mail::SpamAssassin::Plugin::Bayes') }
        @{ $spamassassin->{plugins}->{plugins} };
    my $found = $bayes->scan($status, $mail);
    $status->finish;
    return $found // 0.5;
}

sub judge {
    # As spamd's children do: the database stays open from mail to mail.
    $spamassassin->init_learner({ caller_will_untie => 1 });
    while (my $path = <STDIN>) {
        chomp $path;
        my $mail = parsed($path);
        printf "%s %.17g\n", $path, probability($mail);
        $mail->finish;
    }
    return;
}

$task eq 'learn' ? learn() : judge();
