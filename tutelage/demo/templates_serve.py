"""Sentence templates of the 'serve' split, by intent, in the notation and with the labels of `templates_train`.

They speak of the same things in other sentences: who learned what the messages mean keeps up, who learned the
sentences of the 'train' split does not.
"""

TEMPLATES = {
    "delivery": """
still no {product} (here|at my place). the {carrier} (keeps postponing|moved the date twice|gives me no answer) and
 I have been (patient|waiting) since {since}.
(any idea|any news on) when {order} (turns up|gets to {city})? I (leave for|go on) holiday {day}.
according to your mail the {carrier} was here {when}. (nobody rang|no card, no call), and the neighbours (know
 nothing|have nothing).
(it is|we are at) {span} now and the parcel (has not moved|sits at the depot|is nowhere to be found). (please chase
 it|look into it).
what does it cost to (ship|get) a {product} to {city}, and (would it|can it) (be here|make it) by {day}?
the number you (gave|sent) me for following the shipment (is unknown to|means nothing to) the {carrier}. (has it
 even left|where is it)?
I got (one of two|two of three) boxes {when}. the (missing|other) one (has|should have) the {product} in it.
the {product} was supposed to be a birthday present for {day}. (will it make it|can you speed it up|do I need a plan
 B)?
(could the {carrier} wait|can you ship a bit later), I am (away|travelling) until {day} and nobody can take the
 {product} in.
(marked|listed) as "delivered" at (noon|three o'clock|8 am), (I was home|I sat by the door), no (van|courier) in
 sight. (who has it|where did it go)?
I need {order} (urgently|as soon as possible), is there (a faster way|an express option) to (get|send) it?
your estimate (slips|moves) by a day every day. when will I (really|finally) (hold|have) my {product}?
""",
    "refund": """
it has been {span} since the {product} went back to you and (my balance|my statement) (looks the same|has not
 changed). what is taking so long?
(sending|bringing) the {product} back today. (do I get everything back|how much do I get), the {amount}
 (included|for shipping too)?
(not happy|unhappy) with the {product}, (it is going back|back it goes). how is the (amount|{amount}) (paid
 out|returned to me)?
I was told {span}. (by now|today) it is longer and you (still owe me|are still holding) {amount} for the return.
you gave me (store credit|a voucher) for the returned {product}, (I never agreed to that|I would rather have cash).
 (put it|please put it) on my {card}.
{order} was called off {when} (by you|because it was out of stock), and yet my {amount} (has not come back|is still
 with you).
the warehouse (signed for|has had) my return {when}. (why|how come) (is nothing credited|has nobody credited me)?
(is there|do you have) a return label for {order}? the {product} (does not suit me|disappointed me) and I
 (expect|hope for) the full amount.
part of the sum is missing: I (gave back|returned) two things and only {amount} (came in|was credited).
which account (do you|will you) send the money to when the {product} is back? the {card} I used (is closed|has
 expired).
(can I|am I allowed to) still return the {product} after {span}? the (tags are on|box is sealed) and I would like
 the {amount} back.
(please check|have a look at) {order}: returned {when}, (receipt of posting attached|posted by courier), no credit
 (so far|since).
""",
    "damaged": """
(unboxing|opening) the {fragile} was a (sad|bad) surprise: (glass splinters|a crack|a dent|loose parts)
 (everywhere|right at the front).
what reached me {when} can only be called (scrap|rubble|junk). the {fragile} did not survive the (trip|journey).
the {gadget} came out of the (package|wrapping) and (would not|refuses to) switch on. (first day|brand new),
 (nothing happens|not a sound).
(is there a way|how do I) to (report|claim) transport damage? the {fragile} has (broken edges|a split panel|scuffs
 all over).
(in|from) {order} the {fragile} (has|shows) (marks|a tear|a bent frame) (that should not be there|as if it fell).
 (swap it please|what do we do)?
(a piece|a part|the cover) of the {fragile} snapped off (before I|when I) (even touched it|took it out). do you want
 (a photo|pictures)?
the manual lists (six|eight|four) parts for the {fragile}, I count one less. (can the missing one be sent|please
 send what is missing).
(poor|terrible) packing: one thin sheet of paper around a {fragile}, (of course it broke|so it is in shards now).
the {garment} (came|turned up) with (a stain|a rip|loose threads|a button off) {when}, I (would not call that|cannot
 gift something so) new.
you can have it back, I am not keeping a {fragile} that (wobbles|is cracked|was glued) (on day one|out of the box).
 (money or a new one|refund me).
the replacement for my {fragile} came {when}, and (guess what|believe it or not), it is (just as broken|cracked
 too|worse).
""",
    "cancel": """
{order} (is not needed|can be scrapped|should not go out) any more, (take it out of the system|do not send it),
 please.
(too late to call off|can I still call off) {order}? I (bought it|got one) (in town|second hand) (an hour ago|this
 morning).
please do not (pack|dispatch) the {product}, I (picked|chose) the wrong (model|one) and will order (again|the right
 one).
(nothing has been sent|it is still being prepared), so I would (like|want) to (back out of|undo) the purchase of the
 {product}.
I do not wish to (renew|go on with) the (plan|subscription|box), (when does it end|how much notice do I give)?
the button to (withdraw|abort) is greyed out {where}. (stop {order} for me|can you do it), please.
you (keep moving|have moved) the date, I am done waiting. (scrap|forget) {order} and return my {amount}.
I meant to (order|buy) one {product} and (the cart had|ended up with) three. (take two off|remove two) before it
 (ships|leaves).
(circumstances changed|plans changed), the {product} is (of no use now|not wanted any longer). (call it off|stop it)
 while (there is time|you can).
how (many days|long) do I have to (revoke|pull out of) an order (placed|made) {when}?
(was my|did my) cancellation of {order} (go through|register)? it (still appears|keeps showing) under open
 (orders|purchases).
""",
    "payment": """
(tried|I tried) (three|four|two) times to pay for the {product} {where}, (each time|always) it (bounces|gets
 turned down).
my statement lists your shop two times (with|at) {amount}, (I only bought one thing|there was one order).
(do you take|is it fine to use) (PayPal|gift cards|a foreign card|Apple Pay), or (only|just) {card}s?
(after I hit|when I hit) "buy now" it (spins|loads) forever. (was I charged|did it go through) or not?
(what is|who booked) this {amount} on my {card} from {since}? I (ordered|bought) nothing (then|that day).
you (remind|dun) me about {order} although I (settled it|paid the {amount}) {when}.
is (paying|splitting) the {amount} over (three months|several months) an option for the {product}?
(the bank's|my bank's) confirmation step (never pops up|fails), so I (cannot finish|am stuck at) the checkout.
(wrong|a wrong) sum (taken|withdrawn): {amount} (more than|above) what the confirmation (mail says|states).
my {card} expires (soon|next month), where do I (put in|enter) the new (one|number) for my (subscription|next bill)?
bank transfer (sent|made) {when} with {order} as the reference, (please confirm it landed|did it land)?
""",
    "sizing": """
(between|torn between) {size} and one up for the {garment}. (advice|any advice), I like it (loose|close to the
 body)?
my {garment} came {when}, nice, but I can barely (close|button) it. (have you got|is there) a (wider|roomier) one?
(what would|which number would) a person of (180|165|172|190) cm (take|wear) in your {garment}?
{size} is (greyed out|sold out) for the {garment}, will (it|that one) (return|come back)?
the {garment} (swallows me|is huge on me|drowns me), (and|although) I took my usual {size}. one number (less|down)
 please.
(could you|can you) (measure|tell me) the {garment} from (shoulder to hem|armpit to armpit), for {size}?
(swapping|trading) the {garment} for {size}: (do I pay shipping|how does that work)?
I (lost|put on) weight, the {garment} from {order} (no longer sits right|does not sit well). is a (tighter|looser)
 one (possible|in stock)?
(do your|should your) {garment}s (give|stretch) a little (with time|after a while), or is {size} going to stay
 (snug|tight)?
the guide (on the site|{where}) puts me at {size}, the reviews (say|suggest) going (up|down). (whom do I
 trust|what is right for the {garment})?
(trousers length|sleeve length) for the {garment}, (is there a longer|do you offer a shorter) (cut|version) in
 {size}?
""",
    "discount": """
{code} takes nothing off (my basket|the {product}). (have I|did I) (mistyped|missed) something?
(any|are there any) (promotions|deals|coupons) (running|at the moment) for a {product}? {amount} is (a bit much|over
 my budget).
two days after I (bought|ordered) the {product} you (cut|lowered) the price by {percent}. that (stings|hurts), can
 you be (fair|generous)?
(signed|I signed) up for your mails because of the {percent} coupon, (inbox|my inbox) (empty|has nothing).
(are|is) {code} and the {percent} for (members|new customers) (stackable|usable together)?
where do I (type in|enter) a (promo|coupon|gift) code {where}? I (see|find) no field for it.
I hold a (student|teacher|press) card, does that (get me|mean) a (lower|reduced) price on the {product}?
we are a (school|club|small firm) and want (twenty|thirty|fifty) of the {product}, what (rate|offer) can you
 (make|do)?
my gift voucher (has run out|shows zero), though (nothing was bought with it|I never redeemed it). it was {amount}.
you (advertise|announce) {percent} on everything and then (exclude|leave out) the {product}. is that (serious|a
 mistake)?
(the {percent} from|the coupon of) {when} was not (deducted|applied) on {order}, (please credit the difference|I
 paid too much).
""",
    "address": """
(there is|I made) a typo in where {order} goes: it (must|should) (read|be) {street}, {city}.
(we moved|I am moving) to {city} (soon|{on_day}|this month), (make sure|please see) that the {product} (goes|comes)
 (there|to {street}).
(can you|could the {carrier}) (deliver|bring) it to {street}, where I (work|am during the day)?
my new (home|place) is {street}, please (note|save) that, {order} (is|should be) (already on its way|sent there).
your system (insists on|picked|defaulted to) my old (flat|place|street). {order} has to go to {city}.
the house number is (missing|wrong) on the label of {order}. (it is|make it) {street}.
I want the {product} (sent|shipped) to a friend at {street}, but the (bill|invoice) to (me|my own place).
(is it too late|am I too late) to (pick|name) a different (drop-off|destination) for {order}, say {street}?
the map {where} (puts|shows) my (house|place) in the wrong (town|street), and parcels (end up|go) (there|at a
 stranger's).
(postcode|zip code) and (town|city) (do not match|got mixed up) (on|in) {order}, the right ones (are for|belong to)
 {street}, {city}.
(change where|alter where) {order} is headed, please: {street}, {city}. (nobody|no one) lives at the (other|first)
 one (now|any more).
""",
    "password": """
(typed|I typed) it (ten|five|six) times, (sure|certain) it was right, and now your site (shut|has locked) me out.
(no mail|nothing) arrives when I (click|press) "forgotten", (spam is empty|I checked the spam folder).
I am (stuck|trapped) at the sign-in (screen|page) of {place}, my (credentials|details) are (refused|not recognised).
the one-time code (comes|arrives) (too late|an hour later), (by then|then) it is (void|no good).
(got|I got) a mail about a login from {city}. that (was not|is not) me. (how do I secure|please protect) my access.
(lost my phone|my phone was stolen) and with it the (app for codes|second factor). how do I (get back in|sign in)?
(which|what) (characters|signs) are allowed? every new (secret word|password) I (pick|try) is turned down.
the link in your mail for (choosing|setting) a new one (opens|shows) (an error|a blank page) {where}.
I (would like|want) to (stop using|drop) (the password|passwords) and sign in with my (fingerprint|phone). (does
 that work|possible)?
{place} no longer (lets me in|remembers me) (since the update|since {since}), even after I (reinstalled|changed the
 password).
""",
    "invoice": """
(our bookkeeping|my tax office|my boss) (wants|insists on) a proper (bill|document) for {order}, (the mail is not
 enough|could you issue one)?
(I look for|I miss) the paperwork (of|for) the {product} from {since}. (a PDF would do|no bill was in the box).
(please|kindly) (reissue|redo) the bill for {order} with (our VAT number|the firm's name|the right address).
(tax|VAT) (is missing|was left out|is wrong) on (what you sent me|the document) for {order}, I cannot (book|file) it
 like that.
(can I|how can I) (print|get) (last month's|all my|older) invoices (in one go|from {place})?
the sum on the bill, {amount}, (differs from|is not) what I (paid|transferred). (which one counts|can you fix the
 bill)?
I expense the {product} at work and (need|lack) (a receipt|something) (with|showing) the {amount} and the date.
(do you|could you) (send|issue) (electronic|paper) invoices? (ours|we) must go to (accounting|another department)
 directly.
the (download|link) to the receipt of {order} (ends in|gives me) (an error|nothing|an empty file).
to claim from my insurance I (need|must show) what I (paid|spent) for the {product} {when}. (a copy of the bill|a
 duplicate), please?
""",
    "account": """
I (no longer want|do not want) to be (a customer|registered) (with you|here), (erase|wipe) my (details|profile),
 please.
(too many|so many) (mails|texts) from you. (take me off|remove me from) (the list|every list), (I asked before|for
 good).
(my name|the surname) in the (profile|account) is (misspelt|my old one), and (the field|it) (is locked|cannot be
 edited) {where}.
(where have|what happened to) my bonus points (gone|) (from|of) {order}? I (counted|expected) {amount} worth.
(under|according to) the privacy law I (ask|request) (what you hold about me|a copy of my data|an export of my
 data).
I (bought|ordered) as a guest {when}. can (that order|{order}) be (linked to|shown in) the (profile|account) I
 (made|opened) since?
(is there|do you have) (a way|a setting) to let my (partner|assistant|colleague) (order|shop) under my
 (account|profile)?
I (use|have) a different (mailbox|email|number) now, how (does|can) the (profile|account) (get|take) it?
(signing|I tried signing) up (fails|is refused): it (claims|says) my email is (taken|in use) already. (by whom|I am
 new here).
my (wish list|order history|saved items) (is empty|got wiped) (since {since}|after the new version). can it be
 (restored|brought back)?
""",
    "repair": """
{months} of (light|normal|daily) use and the {gadget} (is done for|no longer runs|gave out). (who pays|does the
 maker step in)?
(what is covered|what do you cover) if a {gadget} (fails|breaks) (within|after) {months}?
(is there|do you have) a (service centre|technician) near {city}? my {gadget} (hums|smokes|drips|overheats) since
 {when}.
(can a|could a) {gadget} be mended? the (hinge|knob|plug|cord) (came off|wore out) after {months}.
the {gadget} you (fixed|looked at) {when} has (quit|failed) again. (third|second) (time|visit) now.
(bought|purchased) {months} ago, my {gadget} (loses|drops) power (within minutes|all the time). do I still have a
 (claim|guarantee)?
(do you stock|where do I get) (replacement|spare) (filters|seals|batteries|blades) for a {gadget} that is {months}
 old?
(any news|news) (on|about) my {gadget}? your technicians have had it for {span}.
I (registered|bought) the longer (cover|protection) for my {gadget}, (how do I use it|what must I do), now that it
 (broke|failed) after {months}?
my {garment} (came apart|frayed|lost its colour) within {months} of (wear|careful wear). is that (a case for the
 guarantee|on you)?
""",
}
