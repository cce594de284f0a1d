package list

// surnameList has the common surnames with their usual readings. It only serves
// to see whether an address fits a name: a surname that is missing casts no vote.
const surnameList = `
佐藤:sato 鈴木:suzuki 高橋:takahashi 髙橋:takahashi 田中:tanaka 伊藤:ito 渡辺:watanabe 渡邊:watanabe 渡邉:watanabe 渡部:watanabe/watabe
山本:yamamoto 中村:nakamura 小林:kobayashi 加藤:kato 吉田:yoshida 𠮷田:yoshida 山田:yamada 佐々木:sasaki 山口:yamaguchi 松本:matsumoto
井上:inoue 木村:kimura 林:hayashi 斎藤:saito 斉藤:saito 齋藤:saito 齊藤:saito 清水:shimizu 山崎:yamazaki/yamasaki 山﨑:yamazaki/yamasaki
森:mori 池田:ikeda 橋本:hashimoto 阿部:abe 石川:ishikawa 山下:yamashita 中島:nakajima/nakashima 中嶋:nakajima/nakashima 石井:ishii
小川:ogawa 前田:maeda 岡田:okada 長谷川:hasegawa 藤田:fujita 後藤:goto 近藤:kondo 村上:murakami 遠藤:endo 青木:aoki
坂本:sakamoto 福田:fukuda 太田:ota 西村:nishimura 藤井:fujii 金子:kaneko 岡本:okamoto 藤原:fujiwara 三浦:miura 中野:nakano
中川:nakagawa 原田:harada 松田:matsuda 竹内:takeuchi 小野:ono 田村:tamura 中山:nakayama 和田:wada 石田:ishida 森田:morita
上田:ueda 原:hara 内田:uchida 柴田:shibata 酒井:sakai 宮崎:miyazaki 宮﨑:miyazaki 横山:yokoyama 高木:takagi 安藤:ando
宮本:miyamoto 大野:ono 小島:kojima/ojima 工藤:kudo 谷口:taniguchi 今井:imai 高田:takada/takata 増田:masuda 丸山:maruyama 杉山:sugiyama
村田:murata 大塚:otsuka 新井:arai 小山:koyama/oyama 平野:hirano 藤本:fujimoto 河野:kono/kawano 上野:ueno 野口:noguchi 武田:takeda
松井:matsui 千葉:chiba 菅原:sugawara 岩崎:iwasaki 岩﨑:iwasaki 久保:kubo 木下:kinoshita 佐野:sano 野村:nomura 松尾:matsuo
菊地:kikuchi 菊池:kikuchi 市川:ichikawa 杉本:sugimoto 古川:furukawa 大西:onishi 島田:shimada 水野:mizuno 桜井:sakurai 櫻井:sakurai
高野:takano/kono 渡:watari 吉川:yoshikawa/kikkawa 山内:yamauchi/yamanouchi 西田:nishida 飯田:iida 西川:nishikawa 小松:komatsu 北村:kitamura 安田:yasuda
五十嵐:igarashi 川口:kawaguchi 平田:hirata 関:seki 中田:nakata/nakada 久保田:kubota 服部:hattori 東:higashi/azuma 岩田:iwata 土屋:tsuchiya
川崎:kawasaki 福島:fukushima 本田:honda 辻:tsuji 樋口:higuchi 秋山:akiyama 田口:taguchi 永井:nagai 山中:yamanaka 中西:nakanishi
吉村:yoshimura 川上:kawakami 石原:ishihara 大橋:ohashi 松岡:matsuoka 馬場:baba 浜田:hamada 濱田:hamada 森本:morimoto 星野:hoshino
矢野:yano 浅野:asano 大島:oshima 吉岡:yoshioka 小池:koike 野田:noda 荒木:araki 大久保:okubo 熊谷:kumagai/kumagaya 松浦:matsuura
黒田:kuroda 尾崎:ozaki 永田:nagata 川村:kawamura 望月:mochizuki 田辺:tanabe 田邊:tanabe 田邉:tanabe 内藤:naito 西山:nishiyama
大谷:otani/oya 松下:matsushita 早川:hayakawa 菅野:kanno/sugano 広瀬:hirose 廣瀬:hirose 内山:uchiyama 岩本:iwamoto 平井:hirai 片山:katayama
本間:honma 今村:imamura 横田:yokota 岡崎:okazaki 荒井:arai 大石:oishi 鎌田:kamada/kamata 成田:narita 宮田:miyata 小田:oda
石橋:ishibashi 篠原:shinohara 須藤:sudo/suto 河合:kawai 高山:takayama 栗原:kurihara 伊東:ito 松原:matsubara 三宅:miyake 福井:fukui
大森:omori 奥村:okumura 岡:oka 内海:utsumi 松村:matsumura 小西:konishi 小沢:ozawa 小澤:ozawa 桑原:kuwahara/kuwabara 川田:kawada/kawata
関口:sekiguchi 片岡:kataoka 富田:tomita 八木:yagi 西野:nishino 白石:shiraishi 吉野:yoshino 栗田:kurita 村山:murayama 古田:furuta
上原:uehara 水谷:mizutani 長田:nagata/osada 岡村:okamura 青山:aoyama 宮川:miyagawa 根本:nemoto 小倉:ogura/kokura 堀:hori 坂口:sakaguchi
中井:nakai 宮下:miyashita 滝沢:takizawa 滝澤:takizawa 瀧澤:takizawa 沢田:sawada 澤田:sawada 神田:kanda 東山:higashiyama 植田:ueda 児玉:kodama
坂井:sakai 牧野:makino 柳田:yanagida 大川:okawa 竹田:takeda 堀内:horiuchi 千田:chida/senda 川島:kawashima 川嶋:kawashima 徳永:tokunaga
広田:hirota 廣田:hirota 稲垣:inagaki 稲葉:inaba 岩井:iwai 塚本:tsukamoto 西尾:nishio 北川:kitagawa 金井:kanai 戸田:toda
藤川:fujikawa 榎本:enomoto 黒木:kuroki 角田:kakuta/tsunoda/sumida 三上:mikami 金田:kaneda/kanada 相馬:soma 畠山:hatakeyama 森下:morishita 大山:oyama
土井:doi 長島:nagashima 長嶋:nagashima 南:minami 谷:tani 西:nishi 今野:konno 田島:tajima/tashima 篠崎:shinozaki 杉浦:sugiura
梅田:umeda 安部:abe 安倍:abe 若林:wakabayashi 堀田:hotta 宇野:uno 平山:hirayama 柏木:kashiwagi 吉原:yoshihara 小野寺:onodera
佐久間:sakuma 日高:hidaka 尾形:ogata 緒方:ogata 川井:kawai 岸:kishi 岸本:kishimoto 大場:oba 木田:kida 黒川:kurokawa
古賀:koga 小泉:koizumi 大竹:otake 浅井:asai 大沢:osawa 大澤:osawa 村井:murai 武藤:muto 藤沢:fujisawa 藤澤:fujisawa
野崎:nozaki 野﨑:nozaki 島崎:shimazaki 柳沢:yanagisawa 丹羽:niwa 新田:nitta 石黒:ishiguro 土田:tsuchida 川端:kawabata 田代:tashiro
`
