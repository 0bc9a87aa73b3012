"""Sentence templates of the 'train' split, by intent. The 'serve' split has its own and shares none of these.

One template a paragraph line, a line that starts with a blank continues it; `(a|b)` chooses, `{slot}` is filled from
`phrases.SLOTS`. Sentences start in lower case; the generator writes the capitals.

Where intents touch, the label is what the desk has to do: goods that came broken are `damaged` even if the writer
wants money back, goods that fail after use are `repair`, an order that is still under way is `cancel`, money that is
due after a return or a cancellation is `refund`, a charge that is wrong is `payment`.
"""

TEMPLATES = {
    "delivery": """
my (parcel|package) was (due|expected|promised) {when} and (it has not arrived|nothing has arrived|it is not here
 yet). (can you check|do you know) where it is?
the tracking (page|link) has (said|shown) "(in transit|on its way|handed over)" for {span}. is the {product}
 (lost|stuck|coming at all)?
(where is|what happened to) {order}? I (ordered it|bought it|paid for it) {when} and (have heard nothing|see no
 movement).
the {carrier} (says|claims) it was left (with a neighbour|at the door|in a safe place), but (nobody here|no one) has
 (seen|got) it.
how (long|many days) does shipping (take|need) to {city}? I (need|would need) the {product} (by|before) {day}.
I (stayed|was) at home all day and the {carrier} (never|did not even) (rang|came|showed up), (yet|although) the app
 says I was not in.
(could|can) you (tell me|find out) (when|on which day) the {product} will (arrive|get here|be brought)?
only (half|one part|one box) of {order} (came|was delivered) {when}, (when does|where is) the (rest|other box)?
my {product} has been (sitting|lying) in your (warehouse|depot) for {span}. (when will it|is it ever going to)
 (leave|ship)?
I paid for (express|next-day) shipping and it is now {span} later. (that is not express.|where is it?)
is there a (tracking number|way to follow the parcel) for the {product} I (ordered|bought) {when}? the mail (had
 none|did not have one).
the {carrier} brought me (someone else's|a stranger's) (parcel|box), (so where is mine|mine is missing). I am
 waiting for a {product}.
your site (gave me|showed|promised) {day} as the (date|day), now it says {span}. (why the delay|what is going on)?
can the {carrier} (come|drop it off) after (six|five|seven) in the evening? I am (at work|out) (all day|during the
 day).
has {order} (left|gone out|been sent) yet? the status (still says|has been) "(processing|packing)" since I
 (ordered|paid) {when}.
it says delivered (but there is|and yet there is) (nothing|no box|no parcel) (in front of my door|in the
 hallway|anywhere). I (ordered|wanted) a {product}.
can you (ship|send) the {product} faster? I need it (urgently|quickly) and (would pay|gladly pay) for express
 delivery.
one of (two|three) parcels is (missing|not here), the other (arrived|came) {when}. the {carrier} (knows nothing|has
 no record).
do you deliver (to {city}|on Saturdays|in the evening), and what does (delivery|shipping) of a {product} cost?
""",
    "refund": """
(I sent|I posted|I returned) the {product} {when} and the money is (still not|not yet) (back on|on) my {card}.
(could you|can you|please) (tell me|let me know) when I (get|will see) my money (back|again) for the {product} I
 (returned|sent back) {when}?
the {product} is not (for me|what I expected|what I hoped for), I (would like|want) to (return it|send it back) for
 a (full |)refund.
you (write|say) that refunds take {span}, (it has been|I have waited) twice that and there is no sign of my
 {amount}.
how (do|can) I send the {product} back? I (have not opened it|never used it) and (would like|want) (my money|the
 {amount}) back.
I was (only refunded|paid back only) {amount} for the {product}, that is (less than I paid|not the full price).
 (please|could you) (pay|send) the rest.
my order page (says|shows) "refunded" but (my bank sees|there is) nothing (on my account|on the statement) after
 {span}.
I (changed my mind|had second thoughts) about the {product} that came {when}. (how do I|where do I) (return it|send
 it) to get the {amount} back?
(where is|what about) my refund for {order}? it was (approved|confirmed|promised) {when}.
(someone|an agent|a colleague of yours) (promised|told me) {channel} that the {amount} would be paid back. (so
 far|until now) (nothing|not a penny).
I (bought|ordered) two of the same {product} (by mistake|by accident), can (one|the second) go back (for a
 refund|for my money)?
my return was (scanned|handed in|dropped off) {when}. (how soon|when) (does|will) the money (arrive|come)?
the {product} came {span} (too late|after the date), so I (sent|returned) it. now I am (waiting for|missing) the
 refund.
I cancelled {order} {when} but (was never|have not been) (refunded|paid back) the {amount}.
the {fragile} was (broken|damaged|cracked), I returned it {when} as you (asked|said) and have not seen my
 (refund|money).
do you also (refund|pay back) the (postage|shipping cost) when I (return|send back) a {product}?
(please|can you) refund the {amount} to my {card} and not as (store credit|a voucher), I have (returned|sent) the
 {product}.
I only got (part|half) of my money back for the (return|items I returned), {amount} (is missing|are missing).
I need a (return label|return slip) for {order}, the {product} is not (right|good enough) and I want a refund.
""",
    "damaged": """
the {fragile} (arrived|came|was delivered) {when} and it is (cracked|smashed|broken) (on one side|at the bottom|in
 two places).
I (just opened|unpacked) the box and the {fragile} is (dented|scratched|bent|chipped). (what now|what should I do)?
the box (looked fine|was crushed|was torn open), (and|but) the {fragile} inside is (in pieces|broken|badly
 scratched).
my new {gadget} does not (turn on|start|do anything), (straight out of the box|right from the first try). it came
 {when}.
there is a (big|deep|long) (scratch|crack|dent) (across|on) the {fragile} I received {when}. (can you|please) send
 (another|a new) one.
(half of the|some|two) screws (were|are) missing, so I cannot (put together|assemble|build) the {flatpack} (that
 came|I got) {when}.
the {garment} has a (hole|torn seam|stain|broken zip) and I (have not even worn it|only just unpacked it).
you (sent|delivered) a {fragile} that is (clearly used|already broken|faulty). I (want|need) a (new
 one|replacement).
(one corner|the back|one side) of the {fragile} was (crushed|broken off|dented) (in the post|on the way), I can send
 (photos|pictures).
I (want|would like) my money back, the {fragile} (arrived|came) (broken|smashed|in pieces) {when}.
the {carrier} must have dropped it: the {fragile} (rattles|is cracked|has glass everywhere) and it only
 (came|arrived) {when}.
(is it normal|should it be) that a new {gadget} (smells burnt|makes a grinding noise|leaks)? I unpacked it {when}.
the {fragile} from {order} is (defective|broken). can I (swap|exchange) it (for a good one|for one in one piece)?
(what arrived|what I got) {when} is a {fragile} with a (broken|bent|missing) part. (do I have to|must I) send it
 back first?
(second time|again) the {fragile} arrives (broken|damaged|with a crack). (please|could you) (pack it better|use more
 padding).
the {gadget} was (dead|broken) on arrival, the light (stays|is) off and nothing (helps|works).
(parts|pieces) of the {flatpack} are (missing|not in the box). (please|can you) send what (is missing|I need to put
 it together).
the {product} was (damaged|ruined) in transport, the packaging was (thin|wet|poor). (how do I|where do I)
 (report|claim) that?
""",
    "cancel": """
(please cancel|I need to cancel|can you cancel) {order}, I (placed it|ordered) {when} and (no longer need it|found
 it elsewhere).
I (ordered|bought) the {product} (by mistake|by accident) {when}, (can you stop it|please stop it) before it
 (ships|goes out).
(is it|would it be) still possible to (stop|cancel|withdraw) my order? it (has not shipped|is not packed) (yet|as
 far as I see).
there is no cancel button ({where}|on my order page). (how do I|where can I) (take back|cancel) {order}?
I (changed my mind|do not want it any more), please do not (send|ship) the {product} from {order}.
my order (went through|was sent off) twice, please (cancel|drop) one of the two. it was a {product}.
(delivery takes|you need) {span}, that is too long for me. (please cancel|I cancel) the {product} and (refund
 me|give the money back).
I clicked (buy|order) too (fast|early), the {product} is the wrong colour. (cancel it please|please stop that
 order).
(cancel|stop) my (subscription|monthly box|membership) (from next month|as of now|at once), please (confirm|write me
 when it is done).
I (asked|wrote) {channel} {when} to cancel {order} and it (still shows|says) "(active|in progress)".
can I take (one item|the {product}) out of {order} and keep the (rest|others)? it is not (sent|packed) yet.
(my child|my son|my daughter) ordered a {product} on my (tablet|phone) {when}. I (do not want it|want to cancel it).
I want to (end|quit|stop) the (free trial|premium plan|subscription) before (it renews|you charge me|{day}).
I (need|have) to withdraw from {order}, the {product} is (cheaper elsewhere|not needed any more).
(please|could you) (hold|stop) the order from {since}, I will not (need|take) the {product} after all.
(how long|until when) can I (cancel|withdraw from) an order I (placed|made) {when}? it is a {product}.
I do not want to (renew|keep) my (subscription|membership), how do I (cancel|end) it (in time|before {day})?
I ordered too many: please (cancel|remove) one {product} from {order} before you (ship|pack) it.
""",
    "payment": """
my {card} (was declined|is refused|does not work) at the checkout although there is (enough|plenty of) money on it.
I was charged {amount} twice for (the same order|{order}|one {product}). (please correct that.|why?)
(which|what) ways to pay do you (accept|offer)? I have (no credit card|only a {card}).
the (checkout|payment page) (hangs|freezes|crashes) when I (click|press) pay, ({where}|every time).
(there is|I see) a charge of {amount} from your shop that I (do not recognise|never made).
I paid for {order} {when} and it (still says|shows) "(unpaid|payment pending|awaiting payment)".
can I pay for the {product} (in instalments|monthly|in three parts|later)?
you (took|booked) {amount} from my {card} but the {product} (costs|was) less. (where does that come from|please
 check).
I get an error (after|when) I (enter|type) the code from my bank, the payment (fails|stops) (every time|again).
the money (left|is gone from) my account, but there is no order (confirmation|number|in my list). what
 (happened|now)?
(is it possible|can I) (change|switch) the way I pay for {order} from my {card} to (bank transfer|another card)?
my bank (says|tells me) the payment of {amount} (went through|is fine), your site says (it failed|error).
how do I (add|save|remove) a {card} ({where}|as my way to pay)?
I (transferred|wired) {amount} {when}, has it (arrived|been matched to {order})?
you (debited|charged) me (again|one more time) although I (cancelled|ended) the subscription {when}. I see {amount}
 on my {card}.
(can I|may I) pay (cash|by card) when the {carrier} brings the {product}?
you sent me a (reminder|warning) for {order}, but I (paid|transferred) the {amount} {when}. (please check|that
 cannot be).
(do you|can I) take (PayPal|Apple Pay|Google Pay) as payment, or (only|just) a {card}?
the payment was (interrupted|aborted), (was I charged|did you take the {amount}) or do I have to pay again?
""",
    "sizing": """
I (usually|normally) wear {size}, which size (should I take|do I need) for the {garment}?
the {garment} is (too tight|too small|too wide|too long) (for me|at the shoulders|at the waist). can I swap it for
 {size}?
is there a size (chart|table) for the {garment}? I (could not find|do not see) one ({where}|on the page).
does the {garment} (run|come out) (small|large|true to size)? I am between {size} and the next (one|size).
I (ordered|took) {size} and it does not fit. (can I|how do I) (exchange|change) the {garment} for a (bigger|smaller)
 one?
(will you get|when will you have) the {garment} in {size} (again|back in stock)?
how long are the sleeves of the {garment} in {size}? my arms are (long|rather long|short).
what is the (waist|chest|length) of the {garment} in (centimetres|cm), size (S|M|L|XL)?
the (label|tag) says {size} but the {garment} (fits like|feels like) (a much smaller|a child's|a far bigger) one.
(does|will) the {garment} (shrink|get smaller) (in the wash|when washed)? (then|in that case) I would take {size}.
are your (sizes|measures) (European|British|American)? I want {size} in the {garment}.
the {garment} you sent is {size}, I need (one size up|one size down). (do you still have it|is it there)?
I am (tall|quite tall|short) and (slim|broad), (would|will) {size} in the {garment} (fit|be right)?
the {garment} is (nice|lovely) but it (pinches|hangs|is loose), (please send|could you send) {size} instead.
do you (carry|make) the {garment} in (tall|petite|plus) sizes, (or|and) (what is the largest|how big does it go)?
which size (fits|is right for) someone (who is|of) (158|165|171|178|184|190) cm? it is (about|for) the {garment}.
can I (exchange|swap) the {garment} for another size, and (what does that cost|who pays the postage)?
the {garment} does not fit (me|any more), {size} is too (small|big). (do you have|I need) a (smaller|larger) one.
""",
    "discount": """
the code {code} (does not work|is rejected|shows as invalid) (at the checkout|{where}|in my basket).
do you (have|give) a discount for (students|teachers|nurses|seniors)? I (want|would like) to (buy|get) a {product}.
I (forgot|did not manage) to enter {code} when I (ordered|paid) {when}, can you take the {percent} off
 (now|afterwards)?
the newsletter (promised|mentioned) {percent} off my first order, but I (never got|did not get) a code.
the {product} is {amount} cheaper (than last week|now) and I (bought|ordered) it {when}. can you (match|give me) the
 new price?
can I (use|combine) {code} (with|and) a gift card on (the same order|one {product})?
is the {product} going to be (on sale|reduced|cheaper) (soon|on Black Friday|before {day})?
your (ad|banner|mail) says {percent} off, the basket (still shows|has) the full price. (why|what is wrong)?
(how long|until when) is the code {code} (valid|good)? I want to (wait|order) until {day}.
I (invited|recommended you to) a friend and (was promised|should get) {amount} off. where is (my voucher|the code)?
if I (buy|take) (three|five|ten) of the {product}, (is there|do I get) (a better price|a quantity discount)?
(another shop|a competitor) (sells|has) the {product} for {amount} less. do you (price match|match that)?
my (voucher|gift card) of {amount} is (said to be|marked as) (used|expired), but I (got|bought) it {when}.
(does|do) {percent} (apply|count) to (sale items|reduced items) (as well|too)? I (mean|am looking at) the {product}.
I was charged the full (price|{amount}) although {code} (was accepted|showed {percent} off) in the basket.
(are there|do you have) any (offers|deals|sales|coupons) (at the moment|this week) for a {product}?
the price of the {product} (dropped|went down) by {percent} (right|just) after I bought it. (do I get|can I have)
 the difference?
where (can|do) I enter a (voucher|discount|coupon) code {where}? there is no (field|box) for it.
my coupon (for|over) {percent} was not (applied|deducted), I paid the full price for the {product}.
I signed up for the (newsletter|club) to get {percent} off, but the (coupon|voucher) (has not come|is not in my
 inbox).
""",
    "address": """
I (typed|gave|entered) the wrong (street|house number|postcode) for {order}, can you (change|correct) it (before it
 ships|today)?
(please send|can you send) {order} to {street} (in {city} |)instead, I (will be away|have moved).
I (have moved|moved) {when}, how do I (change|update) the (shipping|delivery) address ({where}|for all my orders)?
{order} is going to my old (flat|house|place). the new (one|address) is {street}, {city}.
can the {product} (go|be sent) to my (office|work|parents), {street}, (rather than|and not) to my home?
the (form|checkout) does not (accept|know|find) my (postcode|street|house number). I live at {street}, {city}.
the confirmation (shows|has) an address (I never entered|that is not mine), (please put|it should be) {street}.
I forgot the (flat number|floor|name on the bell) in the address of {order}. (please add it|can it be added):
 {street}.
can I have (two|several) addresses (saved|in my profile), one for (bills|me) and one for (parcels|my mother)?
the {carrier} (says|writes) the address is (incomplete|wrong). it is {street}, {city}. (can you tell them|please
 pass that on).
(is it|would it be) possible to (redirect|reroute) {order} to a pick-up (point|shop) near {street}?
the {product} is a (gift|present), please (ship|send) it to {street} in {city} and not to me.
I (live|am) at {street} now. (please|could you) (change|correct) that (for|on) {order}.
(how|where) do I (delete|remove) an old address ({where}|from my list)? it (keeps coming|comes) up at the checkout.
(part|a bit) of my address got (cut off|lost) on {order}, the full one is {street}, {city}.
(please|could you) change where {order} is (delivered|sent) to {street}. I (made a mistake|moved).
""",
    "password": """
I (forgot|do not remember) my password and the reset (mail|link) (never arrives|does not come).
the reset link (is expired|does not work|leads to an error page) (every time|although it is fresh).
I (cannot|can not|am unable to) log in (any more|since {since}), {where} it (says|tells me) the password is wrong.
my (login|account) is (locked|blocked) after (three|too many) (tries|attempts). (can you|please) unlock it.
how do I (change|set) my password? I (cannot find|do not see) it in (the settings|{place}).
the (security|six-digit|login) code is (not sent|never sent) to my phone, so I cannot (get in|sign in).
I (set|chose) a new password {when} and it is (already rejected|not accepted) (again|now).
I have a new phone (number|) and the (login code|code to sign in) still goes to the old one.
(someone|somebody) tried to (sign in|log in) as me {when}, should I (change|reset) my password?
your page (does not take|rejects) my new password, it (says|claims) it is too (short|weak|simple).
I get (logged|thrown) out of {place} (all the time|every few minutes) and must (type|enter) the password again.
(can you|please) send me a new (password|reset link), the (last|first) one has expired.
I (log|sign) in with my (phone|email) and (end up|land) on a (blank|white) page. the password is (right|correct).
do I (need|have to know) a password to (see|follow) my order? I (forgot|lost) mine (long ago|{when}).
I typed my password (several|five|six) times and now I am (locked out|blocked) {where}.
(there is no|I get no) mail (after|when) I click "forgot password", I (checked|looked in) the spam folder too.
the code to (log in|sign in) (comes|arrives) too late and is (expired|no longer valid) by then.
I lost my phone and with it the (codes|authenticator). how do I (log in|get into my account) (now|again)?
(was I|have I been) hacked? I got a mail about a (login|sign-in) from {city} that was not me.
""",
    "invoice": """
(could you|please|can you) send me (the|an) invoice for {order}? I need it for (my taxes|work|my company).
I (did not get|never received) (a|any) receipt for the {product} I (bought|ordered) {when}.
the invoice (shows|has) the wrong (company name|amount|tax number), (please correct it|can I get a new one)?
where (do I find|can I download) the (bill|invoice) for {order} ({where}|as a PDF)?
we need an invoice with (VAT|our tax number|our company name) on it for {order}, (is that possible|please).
the (bill|invoice) says {amount} but I (paid|was charged) (less|a different sum). which is right?
my accountant (needs|asks for) (the receipts|all invoices) (of last year|since January), (can you|could you)
 (mail|send) them?
the invoice was (sent|made out) to (my private name|the wrong person), it must (name|be on) my company.
(is there|do you have) a receipt for the gift card of {amount} I (bought|gave away) {when}?
the PDF of my (bill|invoice) (does not open|is empty|is damaged). please (send|mail) {order} again.
can you (leave the price off|put no bill in) the (parcel|box) and (mail|send) the invoice (to me|by email)?
I (paid|bought) {order} {when} and now (need|am asked for) (proof|a proof of purchase|the bill) (for my
 insurance|for my employer).
does the price of the {product} (include|contain) VAT? the (bill|receipt) does not (show|list) it.
why is there no (tax|VAT|shipping) (line|listed) on the (bill|invoice) for {order}?
(our|my) (tax adviser|bookkeeper) needs a (proper|correct) invoice with VAT for {order}, (can you issue one|please
 send one).
I need a (receipt|copy of the bill) for the {product} as proof for (my insurance|the tax office|my boss).
""",
    "account": """
(please delete|I want to delete|how do I delete) my account and (all|everything) you (store|keep) about me.
how can I change the (email|phone number|name) on my account? I (cannot find it|see no way) {where}.
I have two accounts (by mistake|somehow), can you (merge|join) them (into one|and keep the newer)?
please (stop|end) the (newsletter|daily mails|advertising), I (unsubscribed|asked for that) {when} and still get
 them.
(where|how) do I see my (points|loyalty points|bonus points)? (I had|it was) {amount} worth of points (in May|last
 month|before).
I (want|would like) to (see|get a copy of) all (personal |)data you (have|store) about me.
I (married|changed my name) and (need|want) the new (surname|name) in my (profile|account).
my (old orders|saved items|reviews) (disappeared|are gone|vanished) from my account (after the update|{when}).
how do I (open|create) a business account? we (order|buy) (a {product}|things) (often|every month).
my email (address |)(changes|no longer works), please (use|put) the new one (in my profile|for my account).
(can I|is it possible to) (use|share) one account (with my wife|in the family|with my team)?
(do I|must I) (need|have) an account to (order|buy) a {product}, or (can I|is it possible to) order as a guest?
I (registered|signed up) {when} but (never got|did not receive) the (confirmation|activation) mail.
I (want|wish) to (close|cancel) my (customer account|profile), I (do not shop here any more|no longer need it).
you send me too many (mails|texts|newsletters). (please|can you) (take|remove) me from your list.
I cannot (register|sign up|create an account), it says my email is already (in use|taken|registered).
please (erase|remove) my (data|details|profile) from your system, I (will not order|do not want to be a customer)
 any more.
I ordered as a guest {when} and (opened|made) an account later. can you (add|link) {order} to my (profile|account)?
""",
    "repair": """
my {gadget} (stopped working|died|gave up) after {months}. is (that|it) still under (warranty|guarantee)?
how long is the (warranty|guarantee) (on|for) the {gadget}? I (bought|got) it {months} ago.
the {gadget} I (bought|got) {months} ago (will not|does not) (turn on|start|work) any more. can it be
 (repaired|fixed)?
(do you|does your shop) (repair|service) the {gadget}? mine is {months} old and (leaks|makes odd noises|gets too
 hot).
the (zip|seam|lining) of my {garment} (broke|tore) after {months}, (is that covered|do you repair that)?
where do I (send|bring) my {gadget} for a (repair|warranty claim)? it (broke|failed) {when} after {months}.
I need a spare (part|lid|cable|battery) for my {gadget}, it is {months} old. (do you sell them|can you help)?
my {gadget} has been (in|at) your (workshop|repair service) for {span}. when (is it|will it be) (ready|done)?
(your workshop|the manufacturer) (refuses|rejects) my warranty claim (for|on) the {gadget}. (why|on what grounds)?
after {months} the battery of my {cordless} (is dead|lasts an hour|does not hold). (is it|does it fall) under
 (warranty|guarantee)?
can I (extend|prolong) the (warranty|guarantee) of my {gadget}? it (ends|runs out) (soon|next month).
I (got|received) my {gadget} back from (repair|your workshop) {when} and it has the same (fault|problem) (again|as
 before).
the {gadget} (worked|was fine) for {months}, now the (display|motor|switch) is broken. (what does a repair cost|who
 fixes it)?
I lost the (warranty card|guarantee slip) of my {gadget}, is the (order number|mail) enough for a (repair|claim)?
(is there|do you have) a (repair service|workshop) (near|in) {city}? my {gadget} (broke|stopped) after {months}.
my {gadget} was (repaired|fixed) {when} and (broke|failed) again. (that is|this makes) the second time.
what does the (warranty|guarantee) cover if the {gadget} (breaks|fails) after {months}?
""",
}
